import frontend from './dynamo.frontend.json' with { type: 'json' };
import dynamoVllm from './dynamo.vllm.json' with { type: 'json' };
import vllm from './vllm.json' with { type: 'json' };

/** The options that a program's real parser accepts. scripts/real/parser-options.py writes the files. */
export interface ParserOptions {
  readonly version: string;
  /** Options without a value; further spellings follow the first one. */
  readonly flag: readonly (readonly string[])[];
  /** Options that also have a `--no-` form; null: without either, the program decides. */
  readonly negatable: readonly { readonly name: string; readonly default: boolean | null }[];
  readonly value: readonly (readonly string[])[];
  readonly values: readonly (readonly string[])[];
}

export const parserOptions = {
  vllm,
  'dynamo.frontend': frontend,
  'dynamo.vllm': dynamoVllm,
} satisfies Record<string, ParserOptions>;

/** Options that are on by default: `false` in a recipe becomes `--no-NAME` for these. */
export function onUnlessTold(...programs: readonly (keyof typeof parserOptions)[]): ReadonlySet<string> {
  const all = programs.flatMap((program) => parserOptions[program].negatable);
  return new Set(all.filter((option) => option.default !== false).map(({ name }) => name));
}
