import { isOfTask } from '../platform/containers/task-environment.ts';
import type { Markers } from './markers.ts';

/**
 * Names that Slurm sets in a task, in place of srun's values, except the ranks (which the task removes); and
 * names that bash gives a meaning.
 */
const SET_BY_SLURM =
  /^(TMPDIR|CUDA_VISIBLE_DEVICES|ROCR_VISIBLE_DEVICES|GPU_DEVICE_ORDINAL|ZE_AFFINITY_MASK)$/;
const BASHS_OWN =
  /^(_|BASH\w*|SHELLOPTS|E?UID|PPID|GROUPS|DIRSTACK|FUNCNAME|LINENO|RANDOM|SRANDOM|SECONDS|EPOCH\w+|HIST\w+|IFS|PS4|POSIXLY_CORRECT|OPT(ARG|IND|ERR)|PIPESTATUS|COMP_\w+)$/;

export interface Environment {
  /** Exported before srun, which passes them on, so that no command line contains a value. */
  readonly exports: readonly string[];
  /**
   * `env -- NAME=value …` before the command: variables that srun would lose, or that would change this
   * script.
   */
  readonly prefix: readonly string[];
  readonly names: readonly string[];
}

/**
 * How a process gets its environment. Lower-case names belong to the script, except those of proxies (which
 * may contain a password).
 */
export function environmentOf(env: Readonly<Record<string, string>>, { word }: Markers): Environment {
  const passes = (name: string): boolean =>
    (/^[A-Z_][A-Z0-9_]*$/.test(name) || /^(https?|ftp|all|no)_proxy$/.test(name)) &&
    !SET_BY_SLURM.test(name) &&
    !isOfTask(name) &&
    !BASHS_OWN.test(name);
  const entries = Object.entries(env);
  const through = entries.filter(([name]) => passes(name));
  const late = entries.filter(([name]) => !passes(name));
  return {
    exports: through.map(([name, value]) => `export ${name}=${word(value)}`),
    prefix: late.length > 0 ? ['env', '--', ...late.map(([name, value]) => `${name}=${value}`)] : [],
    names: through.map(([name]) => name),
  };
}
