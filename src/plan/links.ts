import { createHash } from 'node:crypto';
import type { ProcessRole, ProcessSpec } from '../messages/process-spec.ts';
import { identityOf } from '../messages/same-process.ts';

const WORKERS: ReadonlySet<ProcessRole> = new Set(['prefill', 'decode', 'agg']);
const INFRA: ReadonlySet<ProcessRole> = new Set(['etcd', 'mooncake']);

export const isWorker = ({ role }: ProcessSpec): boolean => WORKERS.has(role);

/** The endpoint that a worker process belongs to: all but the rank of its id. */
export const endpointOf = ({ id }: ProcessSpec): string => id.slice(0, id.lastIndexOf('-'));

/**
 * Says of each process of a point which others it stands and falls with, so that from one point to the next none is
 * kept that could not go on:
 * - the ranks of an endpoint are started together, or not at all;
 * - workers and routers are started again when a step before them (another Dynamo) or etcd or Mooncake's master is new;
 * - a router that is told its workers is started again with any of them: its view of them would be of the old ones. One
 *   that finds them through etcd stays up, and becomes ready once more when they have registered;
 * - nginx stays up, and becomes ready once more when a router behind it is new.
 */
export function linked(
  processes: readonly ProcessSpec[],
  { findsWorkers }: { readonly findsWorkers: boolean },
): ProcessSpec[] {
  const ofRole = (role: ProcessRole) => processes.filter((spec) => spec.role === role);
  const ground = [
    ...processes.filter(({ role }) => INFRA.has(role)).map(identityOf),
    ...new Set(ofRole('step').map(({ argv, image }) => JSON.stringify([argv, image]))),
  ];
  const ranks = new Map<string, string[]>();
  for (const spec of processes.filter(isWorker))
    ranks.set(endpointOf(spec), [...(ranks.get(endpointOf(spec)) ?? []), identityOf(spec)]);
  const link = (spec: ProcessSpec): ProcessSpec => {
    const own = ranks.get(endpointOf(spec)) ?? [];
    return withLinks(spec, [...ground, ...(own.length > 1 ? own : [])], []);
  };
  const workers = new Map(processes.filter(isWorker).map((spec) => [spec.id, link(spec)]));
  const served = [...workers.values()].map(identityOf);
  const routers = new Map(
    ofRole('frontend').map((spec) => [
      spec.id,
      withLinks(spec, findsWorkers ? ground : [...ground, ...served], findsWorkers ? served : []),
    ]),
  );
  // What is ready behind nginx is new also when a router was kept and its workers are new.
  const behind = [...routers.values()].map((spec) => identityOf(spec) + (spec.readyAfter ?? ''));
  return processes.map(
    (spec) =>
      workers.get(spec.id) ??
      routers.get(spec.id) ??
      (spec.role === 'nginx' ? withLinks(spec, [], behind) : spec),
  );
}

function withLinks(spec: ProcessSpec, restarts: readonly string[], ready: readonly string[]): ProcessSpec {
  return {
    ...spec,
    ...(restarts.length > 0 ? { restartsWith: fingerprint(restarts) } : {}),
    ...(ready.length > 0 ? { readyAfter: fingerprint(ready) } : {}),
  };
}

const fingerprint = (parts: readonly string[]): string =>
  createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);
