import type { Argument, Command, Option } from 'commander';

/** A kind each, so that a check of one leaves the others. */
type Each<Kind extends string, Fields> = Kind extends string ? { readonly kind: Kind } & Fields : never;

/** What may follow on the command line; processes and nodes are those of the job that the line names before. */
export type Wanted =
  | Each<'words', { readonly words: readonly Candidate[] }>
  | Each<'files' | 'directories' | 'nothing', object>
  | Each<'jobs' | 'tags', { readonly output: string | undefined }>
  | Each<'processes' | 'nodes', { readonly job: string; readonly output: string | undefined }>;

export interface Candidate {
  readonly value: string;
  readonly description: string;
}

/** What the words of a command's line say so far. */
interface Line {
  readonly command: Command;
  /** Words that belong to no option. */
  readonly operands: readonly string[];
  /** The option whose value comes next; `isOpen`: it takes any number of values, and had one. */
  readonly pending: { readonly option: Option; readonly isOpen: boolean } | undefined;
  readonly used: ReadonlySet<Option>;
  readonly output: string | undefined;
  /** After `--` there are no options. */
  readonly isPlain: boolean;
}

/**
 * What may stand in place of the last word of a command line, which may be empty.
 * @param words without the program's name
 */
export function wantedAt(program: Command, words: readonly string[]): Wanted {
  const current = words.at(-1) ?? '';
  const line = lineOf(program, words.slice(0, -1));
  const { command, pending, isPlain } = line;
  if (current.startsWith('-') && !isPlain && (pending === undefined || pending.isOpen))
    return { kind: 'words', words: optionsOf(program, line) };
  if (pending) return valuesOf(pending.option, line);
  if (command === program) return { kind: 'words', words: commandsOf(program) };
  return operandsOf(line);
}

function lineOf(program: Command, words: readonly string[]): Line {
  let command = program;
  let operands: string[] = [];
  let pending: Line['pending'];
  let output: string | undefined;
  let isPlain = false;
  const used = new Set<Option>();
  for (const word of words) {
    const isOption = !isPlain && word.startsWith('-') && word !== '-';
    if (pending && !(isOption && pending.isOpen)) {
      if (pending.option.long === '--output') output = word;
      pending = pending.option.variadic ? { option: pending.option, isOpen: true } : undefined;
    } else if (!isPlain && word === '--') {
      isPlain = true;
      pending = undefined;
    } else if (isOption) {
      pending = undefined;
      const [name = '', value] = word.split('=', 2);
      const option = [...command.options, ...program.options].find((each) =>
        [each.long, each.short].includes(name),
      );
      if (!option) continue;
      used.add(option);
      if (option.long === '--output' && value !== undefined) output = value;
      if (value === undefined && (option.required || option.optional)) pending = { option, isOpen: false };
    } else {
      const found = command === program ? program.commands.find((each) => isCalled(each, word)) : undefined;
      if (found) {
        command = found;
        operands = [];
      } else operands.push(word);
    }
  }
  return { command, operands, pending, used, output, isPlain };
}

const isCalled = (command: Command, word: string): boolean =>
  command.name() === word || command.aliases().includes(word);

/** The first sentence is enough beside a word. */
const short = (text: string): string => text.split(/[.:;]\s/)[0]?.replace(/\.$/, '') ?? '';

const commandsOf = (program: Command): Candidate[] =>
  program
    .createHelp()
    .visibleCommands(program)
    .map((command) => ({ value: command.name(), description: short(command.description()) }));

function optionsOf(program: Command, { command, used }: Line): Candidate[] {
  return command
    .createHelp()
    .visibleOptions(command)
    .concat(command === program ? [] : program.options.filter(({ hidden }) => !hidden))
    .filter((option) => !used.has(option) || option.variadic)
    .flatMap(({ long, short: letter, description }) =>
      [long, letter].flatMap((value) => (value ? [{ value, description: short(description) }] : [])),
    );
}

/** By the name of the value in the option's flags, such as `<file>`. */
const FILE_NAMES = /<(?:file|path\.\.\.)>/;
const DIRECTORY_NAMES = /<(?:dir|directory|directories)(?:\.\.\.)?>/;

function valuesOf(option: Option, line: Line): Wanted {
  if (option.argChoices)
    return { kind: 'words', words: option.argChoices.map((value) => ({ value, description: '' })) };
  const { output, operands } = line;
  if (/<job>/.test(option.flags)) return { kind: 'jobs', output };
  if (option.long === '--tag') return { kind: 'tags', output };
  if (option.long === '--node' && jobArgumentOf(line.command) !== undefined)
    return { kind: 'nodes', job: operands[0] ?? 'latest', output };
  if (DIRECTORY_NAMES.test(option.flags)) return { kind: 'directories' };
  return { kind: FILE_NAMES.test(option.flags) ? 'files' : 'nothing' };
}

const JOB_ARGUMENTS: readonly string[] = ['job', 'jobs', 'first', 'others'];

const jobArgumentOf = (command: Command): Argument | undefined =>
  command.registeredArguments.find((argument) => JOB_ARGUMENTS.includes(argument.name()));

function operandsOf({ command, operands, output }: Line): Wanted {
  const { registeredArguments: all } = command;
  const last = all.at(-1);
  const argument = all[operands.length] ?? (last?.variadic ? last : undefined);
  if (!argument) return { kind: 'nothing' };
  if (argument.argChoices)
    return { kind: 'words', words: argument.argChoices.map((value) => ({ value, description: '' })) };
  const name = argument.name();
  if (JOB_ARGUMENTS.includes(name)) return { kind: 'jobs', output };
  if (name === 'process' || name === 'processes')
    return { kind: 'processes', job: operands[0] ?? 'latest', output };
  return { kind: 'files' };
}
