import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as z from 'zod';

/** The tables of options: a file for each program in src/engine-options/tables, and below `engine-options` in dist. */
export type TableName =
  | 'sglang'
  | 'vllm'
  | 'vllm.engine'
  | 'dynamo.sglang'
  | 'dynamo.vllm'
  | 'dynamo.trtllm'
  | 'dynamo.mocker'
  | 'dynamo.frontend'
  | 'sglang-router'
  | 'smg'
  | 'vllm-router';

const optionSchema = z.object({
  /** Spellings, without dashes, separated by spaces. */
  names: z.string(),
  /** Spellings with one dash. */
  short: z.array(z.string()).optional(),
  /** How many values follow: 0, a number, `?`, `+` or `*`. Default: one. */
  nargs: z.union([z.number(), z.enum(['?', '+', '*', '...'])]).optional(),
  type: z.enum(['int', 'float']).optional(),
  /** The accepted values. After two spaces: the releases that accept it. */
  choices: z.array(z.string()).optional(),
  /** The releases that have it: `0.5.6-0.5.9 0.5.11-`. Default: all. */
  in: z.string().optional(),
});

/** scripts/options/merge.py writes the files and says how to read them. */
const tableSchema = z.object({
  program: z.string(),
  /** Whether the beginning of an option's name is enough. */
  abbreviates: z.boolean(),
  /** From the oldest to the newest. */
  releases: z.array(z.string()).min(1),
  options: z.array(optionSchema),
});
type Table = z.infer<typeof tableSchema>;

/** scripts/options/dynamo-engines.py writes the file. */
const enginesSchema = z.record(z.string(), z.record(z.string(), z.string()));

/** An option of one release. */
export interface KnownOption {
  readonly names: readonly string[];
  readonly nargs: number | '?' | '+' | '*' | '...';
  readonly type: 'int' | 'float' | null;
  readonly choices: readonly string[] | null;
}

/** The options of one release of a program, by every spelling with its dashes. */
export interface Known {
  readonly options: ReadonlyMap<string, KnownOption>;
  readonly abbreviates: boolean;
}

/** Reads tables when they are needed, each once. */
export class Tables {
  readonly #directory: string;
  readonly #tables = new Map<TableName, Table>();
  #engines: z.infer<typeof enginesSchema> | undefined;
  readonly #known = new Map<string, Known | undefined>();

  constructor(directory = ownTables()) {
    this.#directory = directory;
  }

  /** undefined: the table does not have this release. */
  known(name: TableName, release: string): Known | undefined {
    const key = `${name} ${release}`;
    if (!this.#known.has(key)) this.#known.set(key, optionsOf(this.#table(name), release));
    return this.#known.get(key);
  }

  /** Which engines a release of Dynamo is built with. */
  enginesOf(dynamo: string): Readonly<Record<string, string>> {
    this.#engines ??= enginesSchema.parse(this.#read('dynamo-engines'));
    return this.#engines[dynamo] ?? {};
  }

  #read(name: string): unknown {
    return JSON.parse(readFileSync(join(this.#directory, `${name}.json`), 'utf8'));
  }

  #table(name: TableName): Table {
    const kept = this.#tables.get(name);
    if (kept) return kept;
    const table = tableSchema.parse(this.#read(name));
    this.#tables.set(name, table);
    return table;
  }
}

/** Beside the bundled programs, or beside this file. */
function ownTables(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  const bundled = join(here, 'engine-options');
  return existsSync(bundled) ? bundled : join(here, 'tables');
}

function optionsOf({ releases, options, abbreviates }: Table, release: string): Known | undefined {
  const at = releases.indexOf(release);
  if (at < 0) return undefined;
  const known = new Map<string, KnownOption>();
  for (const option of options) {
    if (!isIn(option.in, releases, at)) continue;
    const names = option.names.split(' ').filter((name) => name !== '');
    const one: KnownOption = {
      names,
      nargs: option.nargs ?? 1,
      type: option.type ?? null,
      choices: option.choices?.flatMap((choice) => choiceIn(choice, releases, at)) ?? null,
    };
    for (const name of names) known.set(`--${name}`, one);
    for (const name of option.short ?? []) known.set(name, one);
  }
  return { options: known, abbreviates };
}

/** The options of a program that takes those of several tables; of a spelling in two, that of the first. */
export const together = (all: readonly Known[]): Known => ({
  options: new Map(all.toReversed().flatMap(({ options }) => [...options])),
  abbreviates: all.some(({ abbreviates }) => abbreviates),
});

function choiceIn(choice: string, releases: readonly string[], at: number): string[] {
  const [name = '', range] = choice.split('  ');
  return isIn(range, releases, at) ? [name] : [];
}

function isIn(ranges: string | undefined, releases: readonly string[], at: number): boolean {
  if (ranges === undefined) return true;
  return ranges.split(' ').some((range) => {
    const [first = '', last = ''] = range.split('-');
    const end = last === '' ? releases.length - 1 : releases.indexOf(last);
    return (first === '' ? 0 : releases.indexOf(first)) <= at && at <= end;
  });
}
