import type { ProcessSpec } from '../../messages/spec/process-spec.ts';
import { atATime } from '../../os/at-a-time.ts';
import { answersHttp } from '../../os/http.ts';
import { describe } from '../../why/describe.ts';

/** Time to answer for a worker whose requests have just failed and whose load has just ended, ms. */
const WITHIN_MS = 8_000;
/** Workers that are asked at the same time. */
const PARALLEL = 64;

/**
 * A sentence for each worker that does not answer a health request. A frozen worker fails requests before its agent's
 * probes, which are patient, report it as degraded.
 */
export async function silentWorkers(
  processes: readonly ProcessSpec[],
  signal: AbortSignal,
  withinMs = WITHIN_MS,
): Promise<string[]> {
  const silent: string[] = [];
  await atATime(PARALLEL, processes.filter(isWorker), async (spec) => {
    if (await answers(spec, withinMs, signal)) return;
    const who = describe(spec.id, spec.role, spec.node);
    silent.push(`${who} does not answer when it is asked for its health (${withinMs / 1_000} s)`);
  });
  return silent.sort();
}

const isWorker = ({ role, probe }: ProcessSpec): boolean =>
  (role === 'agg' || role === 'prefill' || role === 'decode') && probe.kind === 'http';

/** Any answer counts. A refused connection counts too, because the agent sees a process that has ended. */
const answers = ({ probe }: ProcessSpec, withinMs: number, signal: AbortSignal): Promise<boolean> =>
  probe.kind === 'http' ? answersHttp(probe, withinMs, signal) : Promise.resolve(true);
