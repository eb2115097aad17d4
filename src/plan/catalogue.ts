import { BENCHMARK_CHECK } from '../benchmarks/common/process.ts';
import type { ProcessSpec } from '../messages/spec/process-spec.ts';
import type { PlannedPoint, SweepPlan } from '../model/kinds.ts';
import { endpointsByWorker } from '../model/worker-id.ts';
import { identityDigest, isWorker } from './links.ts';
import { isOptionCheck } from './options/check-step.ts';

/**
 * The cost of a start, to compare orders: an engine that loads a model blocks each of its GPUs for minutes
 * (five for a model of some hundred GB), any other process takes seconds.
 */
const ENGINE_S = 300;
export const OTHER_S = 5;

/** In `kinds` of a deployment: it has no process with that id. */
const ABSENT = -1;

/** A deployment as numbers: its processes, and the identity of each. */
export interface Deployment {
  /** Numbers of its processes' ids, in order. */
  readonly ids: Int32Array;
  /** By number of an id: the number of the process's identity (its kind), or ABSENT. */
  readonly kinds: Int32Array;
  /** Ordinals of its points, in the recipe's order. */
  readonly ordinals: number[];
}

/** The data that the order of points depends on; no other part of the plans is kept. */
export interface Catalogue {
  /** In order of first use in the recipe. */
  readonly deployments: readonly Deployment[];
  readonly of: ReadonlyMap<number, Deployment>;
  /** All points, in the recipe's order. */
  readonly written: readonly number[];
  /** By number of an id. */
  readonly ids: readonly string[];
  /** By kind: the cost of its start, and the endpoint of a worker. */
  readonly costs: readonly number[];
  readonly endpoints: readonly (string | null)[];
}

/** Number of the kind of a deployment's process with this id; undefined when it has none. */
export function kindOf(deployment: Deployment | undefined, id: number): number | undefined {
  const kind = deployment?.kinds[id];
  return kind === ABSENT ? undefined : kind;
}

/** Is shown the first point of each deployment, because planning it once more would take as long. */
export type Look = (point: PlannedPoint) => void;

/** Collects the processes of each point. Yields after each deployment, because thousands take seconds. */
export function* cataloguing(plan: SweepPlan, look?: Look): Generator<undefined, Catalogue> {
  const [ids, kinds] = [new Numbers(), new Numbers()];
  const costs: number[] = [];
  const endpoints: (string | null)[] = [];
  // A single point needs no comparison.
  const what = plan.ordinals.length > 1 ? identityDigest : ({ id }: ProcessSpec) => id;
  const take = (
    spec: ProcessSpec,
    endpointOf: ReadonlyMap<string, string>,
  ): readonly [id: number, kind: number] => {
    const kind = kinds.of(what(spec));
    costs[kind] ??= startCost(spec);
    if (endpoints.length === kind) endpoints.push(endpointOf.get(spec.id) ?? null);
    return [ids.of(spec.id), kind];
  };
  const deployments = new Map<string, Deployment>();
  for (const group of plan.groups) {
    const point = plan.point(group[0] ?? -1);
    if (point) look?.(point);
    const endpointOf = endpointsByWorker(point?.endpointProcesses ?? []);
    const deployment = deploymentOf(lastingOf(point).map((spec) => take(spec, endpointOf)));
    const key = [...deployment.kinds].join();
    const same = deployments.get(key) ?? deployment;
    same.ordinals.push(...group);
    deployments.set(key, same);
    yield;
  }
  const all = [...deployments.values()];
  const places = new Map(plan.ordinals.map((ordinal, at) => [ordinal, at]));
  for (const { ordinals } of all) ordinals.sort((a, b) => (places.get(a) ?? 0) - (places.get(b) ?? 0));
  return {
    deployments: all,
    of: new Map(all.flatMap((deployment) => deployment.ordinals.map((ordinal) => [ordinal, deployment]))),
    written: plan.ordinals,
    ids: ids.texts,
    costs,
    endpoints,
  };
}

export function catalogueOf(plan: SweepPlan, look?: Look): Catalogue {
  const steps = cataloguing(plan, look);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/** The benchmark belongs to its point only, and a check costs seconds once: neither decides the order. */
const lastingOf = (point: PlannedPoint | undefined): ProcessSpec[] =>
  (point?.processes ?? []).filter(
    ({ id, role }) => role !== 'benchmark' && id !== BENCHMARK_CHECK && !isOptionCheck({ id, role }),
  );

function deploymentOf(processes: readonly (readonly [id: number, kind: number])[]): Deployment {
  const most = processes.reduce((largest, [id]) => Math.max(largest, id), ABSENT);
  const kinds = new Int32Array(most + 1).fill(ABSENT);
  for (const [id, kind] of processes) kinds[id] = kind;
  return { ids: Int32Array.from(processes, ([id]) => id), kinds, ordinals: [] };
}

const startCost = (spec: ProcessSpec): number =>
  isWorker(spec) ? ENGINE_S * Math.max(spec.mpi?.tasks ?? spec.gpus.length, 1) : OTHER_S;

/** Texts as small numbers, for fast comparisons. */
class Numbers {
  readonly #known = new Map<string, number>();

  of(text: string): number {
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    this.#known.set(text, this.#known.size);
    return this.#known.size - 1;
  }

  get texts(): string[] {
    return [...this.#known.keys()];
  }
}
