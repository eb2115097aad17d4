import { isPlain } from './merge.ts';

/** Placeholders that have a value when the job runs. */
export const OF_JOB = [
  'job_id',
  'run_name',
  'log_dir',
  'model_path',
  'container_image',
  'gpus_per_node',
  'head_node_ip',
  'nodelist',
] as const;
export type JobValues = Readonly<Record<(typeof OF_JOB)[number], string>>;

/** Placeholders whose value depends on the node on which a process runs. */
export const OF_NODE = ['node', 'node_id'] as const;

/** `{name}`, but not `${name}`. */
export const PLACEHOLDER = /(?<!\$)\{([A-Za-z_]\w*)\}/g;

/** `{{name}}`, which templates such as Jinja's use. */
export const isDoubled = (text: string, at: number, length: number): boolean =>
  text[at - 1] === '{' && text[at + length] === '}';

/** Replaces the placeholders that have a value, and leaves all other braces alone. */
export const fillText = (text: string, values: Readonly<Record<string, string>>): string =>
  text.includes('{')
    ? text.replaceAll(PLACEHOLDER, (all: string, name: string, at: number) =>
        Object.hasOwn(values, name) && !isDoubled(text, at, all.length) ? (values[name] ?? all) : all,
      )
    : text;

/** The same in every text of a value; parts without a placeholder stay the same objects. */
export function fillAll<T>(value: T, values: Readonly<Record<string, string>>): T;
export function fillAll(value: unknown, values: Readonly<Record<string, string>>): unknown {
  if (typeof value === 'string') return fillText(value, values);
  if (Array.isArray(value)) {
    const filled = value.map((item: unknown) => fillAll(item, values));
    return filled.some((item, index) => item !== value[index]) ? filled : value;
  }
  if (!isPlain(value)) return value;
  const filled = Object.entries(value).map(([key, part]) => [key, fillAll(part, values)] as const);
  return filled.some(([key, part]) => part !== value[key]) ? Object.fromEntries(filled) : value;
}

/** The sections in which a plan fills in the job's placeholders; platforms fill mounts and options of srun. */
const FILLED = ['environment', 'backend', 'frontend', 'benchmark', 'roles', 'dynamo'] as const;

/** A recipe whose processes know their job. A benchmark's command is a program, whose braces are its own. */
export function fillRecipe<R extends object>(recipe: R, values: JobValues): R {
  const sections = new Map<string, unknown>(Object.entries(recipe));
  const filled = FILLED.filter((name) => sections.has(name)).map((name): [string, unknown] => [
    name,
    withCommandOf(sections.get(name), fillAll(sections.get(name), values)),
  ]);
  const changed = filled.filter(([name, section]) => section !== sections.get(name));
  return changed.length === 0 ? recipe : { ...recipe, ...Object.fromEntries(changed) };
}

const withCommandOf = (original: unknown, filled: unknown): unknown =>
  filled !== original && isPlain(original) && isPlain(filled) && Object.hasOwn(original, 'command')
    ? { ...filled, command: original.command }
    : filled;
