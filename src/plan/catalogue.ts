import type { ProcessSpec } from '../messages/spec/process-spec.ts';
import type { PlannedPoint, SweepPlan } from '../model/kinds.ts';
import { endpointsByWorker } from '../model/worker-id.ts';
import { identityDigest, isWorker } from './links.ts';

/**
 * What a start costs, for comparing orders: an engine that loads a model keeps each of its GPUs from work for minutes
 * (five is what a model of some hundred GB takes), anything else takes seconds.
 */
const ENGINE_S = 300;
export const OTHER_S = 5;

/** In `kinds` of a deployment: it has no process of that id. */
const ABSENT = -1;

/** A deployment as numbers: which processes it has and what each of them is. */
export interface Deployment {
  /** Numbers of the ids of its processes, in their order. */
  readonly ids: Int32Array;
  /** By number of an id: the number of what the process is (its kind), or ABSENT. */
  readonly kinds: Int32Array;
  /** Of the points that have it, as the recipe has them. */
  readonly ordinals: number[];
}

/** All that the order of points is decided by, of whose plans nothing else is kept. */
export interface Catalogue {
  /** In the order in which the recipe first has them. */
  readonly deployments: readonly Deployment[];
  readonly of: ReadonlyMap<number, Deployment>;
  /** All points, as the recipe has them. */
  readonly written: readonly number[];
  /** By number of an id. */
  readonly ids: readonly string[];
  /** By kind: what its start costs, and the endpoint of a worker. */
  readonly costs: readonly number[];
  readonly endpoints: readonly (string | null)[];
}

/** Number of the kind of what a deployment calls by an id; undefined when it has none of it. */
export function kindOf(deployment: Deployment | undefined, id: number): number | undefined {
  const kind = deployment?.kinds[id];
  return kind === ABSENT ? undefined : kind;
}

/** What is to run for each point. Yields after each deployment: of thousands of them it takes seconds. */
export function* cataloguing(plan: SweepPlan): Generator<undefined, Catalogue> {
  const [ids, kinds] = [new Numbers(), new Numbers()];
  const costs: number[] = [];
  const endpoints: (string | null)[] = [];
  // Of a single point nothing is compared with anything.
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

export function catalogueOf(plan: SweepPlan): Catalogue {
  const steps = cataloguing(plan);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/** The benchmark is of its point alone. */
const lastingOf = (point: PlannedPoint | undefined): ProcessSpec[] =>
  (point?.processes ?? []).filter(({ role }) => role !== 'benchmark');

function deploymentOf(processes: readonly (readonly [id: number, kind: number])[]): Deployment {
  const most = processes.reduce((largest, [id]) => Math.max(largest, id), ABSENT);
  const kinds = new Int32Array(most + 1).fill(ABSENT);
  for (const [id, kind] of processes) kinds[id] = kind;
  return { ids: Int32Array.from(processes, ([id]) => id), kinds, ordinals: [] };
}

const startCost = (spec: ProcessSpec): number =>
  isWorker(spec) ? ENGINE_S * Math.max(spec.mpi?.tasks ?? spec.gpus.length, 1) : OTHER_S;

/** Texts as small numbers: what is compared often is compared fast. */
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
