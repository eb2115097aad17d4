import { hash } from 'node:crypto';
import type { ProcessRole, ProcessSpec } from '../messages/spec/process-spec.ts';
import { identityOf } from '../messages/spec/same-process.ts';
import type { EndpointProcess } from '../model/kinds.ts';
import { endpointsByWorker } from '../model/worker-id.ts';
import { isOptionCheck } from './options/check-step.ts';

const WORKERS: ReadonlySet<ProcessRole> = new Set(['prefill', 'decode', 'agg']);
const INFRA: ReadonlySet<ProcessRole> = new Set(['nats', 'etcd', 'mooncake', 'base']);

export const isWorker = ({ role }: ProcessSpec): boolean => WORKERS.has(role);

const digests = new WeakMap<ProcessSpec, string>();

/**
 * A short digest of a process's identity, because the full texts of a sweep with thousands of points would take a
 * gigabyte.
 */
export function identityDigest(spec: ProcessSpec): string {
  const known = digests.get(spec);
  if (known !== undefined) return known;
  const digest = hash('sha256', identityOf(spec), 'base64').slice(0, 22);
  digests.set(spec, digest);
  return digest;
}

/**
 * Adds to each process of a point the processes that it depends on, so that no process is kept between points
 * that could not continue:
 * - the ranks of an endpoint start together or not at all;
 * - workers and routers start again when a step before them (another Dynamo), etcd or Mooncake's master is
 *   new;
 * - a router with a fixed list of workers starts again with any of them, because it would keep its view of
 *   the old ones. A router that finds them through etcd keeps running, and becomes ready once more when they
 *   have registered;
 * - nginx keeps running, and becomes ready once more when a router behind it is new;
 * - a service that starts after the routers starts again with them and with any worker, unless it uses neither.
 */
export function linked(
  processes: readonly ProcessSpec[],
  {
    findsWorkers,
    endpoints,
    alone,
  }: {
    readonly findsWorkers: boolean;
    readonly endpoints: readonly EndpointProcess[];
    /** Ids of services that use neither workers nor routers. */
    readonly alone?: ReadonlySet<string>;
  },
): ProcessSpec[] {
  const byWorker = endpointsByWorker(endpoints);
  const endpointOf = ({ id }: ProcessSpec): string => byWorker.get(id) ?? id;
  const ofRole = (role: ProcessRole) => processes.filter((spec) => spec.role === role);
  const ground = [
    ...processes.filter(({ role }) => INFRA.has(role)).map(identityDigest),
    ...new Set(
      ofRole('step')
        .filter((spec) => !isOptionCheck(spec))
        .map(({ argv, image }) => JSON.stringify([argv, image])),
    ),
  ];
  const ranks = new Map<string, ProcessSpec[]>();
  for (const spec of processes.filter(isWorker)) {
    const known = ranks.get(endpointOf(spec));
    if (known) known.push(spec);
    else ranks.set(endpointOf(spec), [spec]);
  }
  const together = new Map(
    [...ranks].map(([endpoint, own]) => [
      endpoint,
      [...ground, ...(own.length > 1 ? own.map(identityDigest) : [])],
    ]),
  );
  const link = (spec: ProcessSpec): ProcessSpec => withLinks(spec, together.get(endpointOf(spec)) ?? [], []);
  const workers = new Map(processes.filter(isWorker).map((spec) => [spec.id, link(spec)]));
  const served = [...workers.values()].map(identityDigest);
  const routers = new Map(
    ofRole('frontend').map((spec) => [
      spec.id,
      withLinks(spec, findsWorkers ? ground : [...ground, ...served], findsWorkers ? served : []),
    ]),
  );
  // The group behind nginx is also new when a router was kept and its workers are new.
  const behind = [...routers.values()].map((spec) => identityDigest(spec) + (spec.readyAfter ?? ''));
  return processes.map((spec) => {
    if (spec.role === 'nginx') return withLinks(spec, [], behind);
    if (spec.role === 'service' && !alone?.has(spec.id))
      return withLinks(spec, [...ground, ...served, ...behind], []);
    return workers.get(spec.id) ?? routers.get(spec.id) ?? spec;
  });
}

function withLinks(spec: ProcessSpec, restarts: readonly string[], ready: readonly string[]): ProcessSpec {
  if (restarts.length === 0 && ready.length === 0) return spec;
  return {
    ...spec,
    ...(restarts.length > 0 ? { restartsWith: fingerprint(restarts) } : {}),
    ...(ready.length > 0 ? { readyAfter: fingerprint(ready) } : {}),
  };
}

const fingerprint = (parts: readonly string[]): string =>
  hash('sha256', JSON.stringify(parts), 'hex').slice(0, 16);
