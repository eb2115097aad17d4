import { closest } from 'fastest-levenshtein';
import picomatch from 'picomatch';
import { SrtctlError } from '../../os/errors.ts';
import type { IndexedLog } from './log-index.ts';

/** srtctl's own logs that only `--all` or their names choose. */
const OWN = /^(?:nats|agent-.*)$/;

/**
 * Chooses logs by names, beginnings of names (`decode` is `decode-0-0` and its like) or patterns, and by node; without a
 * name all processes and the coordinator.
 * @returns a function that throws SrtctlError when a name fits none of the logs that it is first called with
 */
export function selection(
  names: readonly string[],
  { node, all }: { readonly node?: string | undefined; readonly all?: boolean | undefined },
): (logs: readonly IndexedLog[]) => readonly IndexedLog[] {
  let isChecked = false;
  return (logs) => {
    const fits = names.map((name) => fitOf(name, logs));
    for (const [at, name] of names.entries())
      if (!isChecked && !logs.some(({ process }) => fits[at]?.(process))) throw unknownProcess(name, logs);
    if (!isChecked && node !== undefined && !logs.some((log) => log.node === node))
      throw unknownNode(node, logs);
    isChecked = true;
    return logs.filter(
      (log) =>
        (names.length === 0 ? all || !OWN.test(log.process) : fits.some((matches) => matches(log.process))) &&
        (node === undefined || log.node === node),
    );
  };
}

function fitOf(name: string, logs: readonly IndexedLog[]): (process: string) => boolean {
  if (logs.some(({ process }) => process === name)) return (process) => process === name;
  const isMatch = picomatch(name, { dot: true, bash: true });
  return (process) => process.startsWith(`${name}-`) || isMatch(process);
}

function unknownProcess(name: string, logs: readonly IndexedLog[]): SrtctlError {
  const nearest = closest(
    name,
    logs.map((log) => log.process),
  );
  return new SrtctlError('unknown-process', `this job has no process ${name}`, {
    hint: `did you mean ${nearest}?`,
  });
}

function unknownNode(node: string, logs: readonly IndexedLog[]): SrtctlError {
  const nodes = [...new Set(logs.flatMap((log) => log.node ?? []))];
  return new SrtctlError('unknown-process', `no process of this job has run on ${node}`, {
    hint: nodes.length === 0 ? 'none has started yet' : `the nearest name is ${closest(node, nodes)}`,
  });
}
