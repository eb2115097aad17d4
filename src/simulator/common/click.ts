import { Fatal } from './fatal.ts';

/**
 * Options of a command built with Python's click: an unknown option ends it with exit code 2.
 * @param known the spellings of each option
 * @param flags the options that take no value
 */
export function clickOptions(
  usage: string,
  known: Readonly<Record<string, readonly string[]>>,
  argv: readonly string[],
  flags: ReadonlySet<string> = new Set(),
): Record<string, string | undefined> {
  const refuse = (message: string): Fatal =>
    new Fatal(`Usage: ${usage}\nTry 'trtllm-serve --help' for help.\n\nError: ${message}`, { exitCode: 2 });
  const values: Record<string, string | undefined> = {};
  const words = [...argv];
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    const [, option = word, inline] = /^(--[^=]+)=(.*)$/s.exec(word) ?? [];
    if (!option.startsWith('-')) throw refuse(`Got unexpected extra argument (${word})`);
    const [name] = Object.entries(known).find(([, spellings]) => spellings.includes(option)) ?? [];
    if (name === undefined) throw refuse(`No such option: ${option}`);
    if (flags.has(name)) {
      values[name] = 'true';
      continue;
    }
    const value = inline ?? words.shift();
    if (value === undefined) throw refuse(`Option '${option}' requires an argument.`);
    values[name] = value;
  }
  return values;
}
