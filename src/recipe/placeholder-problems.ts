import { distance } from 'fastest-levenshtein';
import { nearest, type Path } from './source/problems.ts';
import { isPlain } from './values/merge.ts';
import { isDoubled, OF_JOB, OF_NODE, PLACEHOLDER } from './values/placeholders.ts';

const ofJob: ReadonlySet<string> = new Set(OF_JOB);
const ofNode: ReadonlySet<string> = new Set(OF_NODE);

/**
 * What braces mean at a place of a recipe.
 * - program: a command in a language of its own, in which braces have many meanings;
 * - environment: text for a process, in which unknown names stay as they are;
 * - option: the same, but a value that is nothing but an unknown placeholder is a mistake;
 * - job: may name the job, and any other name is a mistake;
 * - strict: is read before there is a job.
 */
type Kind = 'program' | 'environment' | 'option' | 'job' | 'strict';

const PROGRAMS = new Set(['command', 'commands', 'teardown', 'preamble', 'build_command', 'prompt']);
const ENVIRONMENT = /^(?:env|environment|\w+_environment)$/;

/** Sections of their own placeholders, whose owners fill them in. */
const OWN = new Set(['services', 'telemetry', 'observability', 'post_eval', 'reporting', 'host_setup']);
const OPTIONS = new Set(['backend', 'engine', 'frontend', 'roles', 'dynamo']);
const JOB = new Set(['benchmark', 'container_mounts', 'extra_mount', 'output', 'srun_options']);

function kindOf(path: Path): Kind {
  const [section] = path;
  if (path.some((key) => PROGRAMS.has(String(key)))) return 'program';
  if (path.some((key) => ENVIRONMENT.test(String(key)))) return 'environment';
  if (OWN.has(String(section))) return 'environment';
  if (OPTIONS.has(String(section))) return 'option';
  return JOB.has(String(section)) ? 'job' : 'strict';
}

/** A text of a recipe that keeps a name in braces which is a likely misspelling of a placeholder. */
export interface KeptPlaceholder {
  readonly path: readonly string[];
  readonly name: string;
  readonly meant: string;
}

/** Likely misspellings of the job's placeholders in environments and options, which the processes get as they are. */
export function keptPlaceholders(part: unknown, path: readonly string[] = []): KeptPlaceholder[] {
  if (Array.isArray(part)) return part.flatMap((item) => keptPlaceholders(item, path));
  if (isPlain(part))
    return Object.entries(part).flatMap(([key, below]) => keptPlaceholders(below, [...path, key]));
  if (typeof part !== 'string' || !part.includes('{')) return [];
  const kind = kindOf(path);
  if (OWN.has(path[0] ?? '') || (kind !== 'environment' && kind !== 'option')) return [];
  return [...part.matchAll(PLACEHOLDER)].flatMap(({ 0: all, 1: name = '', index: at }) => {
    if (ofJob.has(name) || ofNode.has(name) || isDoubled(part, at, all.length)) return [];
    const meant = slipOf(name, [...OF_JOB, ...OF_NODE]);
    return meant === undefined ? [] : [{ path, name, meant }];
  });
}

/** Why a placeholder that is no parameter of the sweep cannot stay; undefined when it can. */
export function problemOfPlaceholder(
  { name, text, at }: { readonly name: string; readonly text: string; readonly at: number },
  path: Path,
  parameters: readonly string[],
): string | undefined {
  const all = `{${name}}`;
  const kind = kindOf(path);
  if (kind === 'program' || isDoubled(text, at, all.length)) return undefined;
  const ofSweep = `placeholder ${all} is not a parameter of the sweep`;
  if (ofNode.has(name)) return undefined;
  if (ofJob.has(name))
    return kind === 'strict'
      ? `placeholder ${all} has no value here, because this is read before the job has one`
      : undefined;
  if (kind === 'strict' || kind === 'job' || (kind === 'option' && text === all)) {
    const meant = nearest(name, [...parameters, ...(kind === 'strict' ? [] : OF_JOB)]);
    return meant === undefined ? ofSweep : `${ofSweep} (did you mean {${meant}}?)`;
  }
  const misspelt = slipOf(name, parameters);
  return misspelt === undefined ? undefined : `${ofSweep} (did you mean {${misspelt}}?)`;
}

/**
 * The known name that was probably meant by `name`. Stricter than `nearest`, because text with braces of
 * its own is common here.
 */
function slipOf(name: string, known: readonly string[]): string | undefined {
  const meant = nearest(name, known);
  if (meant === undefined || Math.min(name.length, meant.length) < 2) return undefined;
  return distance(name, meant) <= Math.max(1, Math.floor(meant.length / 4)) ? meant : undefined;
}
