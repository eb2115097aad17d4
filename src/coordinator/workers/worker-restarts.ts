import type { RestartsInput } from '../../machines/restarts.ts';
import type { EventBody, SrtEvent } from '../../messages/events/events.ts';
import type { Cause, WorkerRestart } from '../../messages/job-directory/result.ts';
import type { ProcessSpec, RestartPolicy } from '../../messages/spec/process-spec.ts';
import type { SteadyClock } from '../../os/steady-clock.ts';

/** A restart of a worker, and the limit of its policy. */
export interface KnownRestart extends WorkerRestart {
  readonly most: number;
}

export interface WorkerRestartsOptions {
  readonly record: { send(body: EventBody): void };
  readonly clock: Pick<SteadyClock, 'date'>;
  /** The restarts under the previous coordinator, in order. */
  readonly found: readonly KnownRestart[];
  /** The previous coordinator's point runs on, and its waiting workers wait on. */
  readonly goesOn: boolean;
}

/** The restarts of workers: which rest now, how often each has started, and what the events and the result say of them. */
export class WorkerRestarts {
  readonly #options: WorkerRestartsOptions;
  readonly #all: KnownRestart[];
  /** How often each endpoint has started again. */
  readonly #numbers: Map<string, number>;
  /** Endpoints that have ended and are not started yet. */
  readonly #resting: Set<string>;
  /** Endpoints that have started and are not ready yet. */
  readonly #starting: Set<string>;
  /** A spec with its number. Kept, because comparing command lines takes long. */
  readonly #numbered = new WeakMap<ProcessSpec, ProcessSpec>();

  constructor(options: WorkerRestartsOptions) {
    const { found, goesOn } = options;
    this.#options = options;
    this.#all = [...found];
    const last = lastOfEach(found);
    this.#numbers = new Map(Object.entries(startedOf(found)));
    this.#resting = new Set(goesOn ? last.filter(isWaiting).map(({ endpoint }) => endpoint) : []);
    this.#starting = new Set(goesOn ? last.filter(isStarting).map(({ endpoint }) => endpoint) : []);
  }

  /** The spec that is wanted now: another process after each restart. */
  current(spec: ProcessSpec): ProcessSpec {
    const { restartPolicy: policy } = spec;
    const number = policy && this.#numbers.get(policy.endpoint);
    if (number === undefined || number === spec.restart) return spec;
    const known = this.#numbered.get(spec);
    if (known?.restart === number) return known;
    const numbered = { ...spec, restart: number };
    this.#numbered.set(spec, numbered);
    return numbered;
  }

  /** true for a process that is wanted and must not run before its endpoint starts again. */
  isResting({ restartPolicy }: ProcessSpec): boolean {
    return restartPolicy !== undefined && this.#resting.has(restartPolicy.endpoint);
  }

  /** true for an endpoint that has started and has not been ready since. */
  isStarting(endpoint: string): boolean {
    return this.#starting.has(endpoint);
  }

  /** An agent runs this process, which has started again so often. */
  seen({ restartPolicy }: ProcessSpec, number: number): void {
    if (!restartPolicy || number === 0) return;
    const { endpoint } = restartPolicy;
    this.#numbers.set(endpoint, Math.max(number, this.#numbers.get(endpoint) ?? 0));
  }

  rest(policy: RestartPolicy, ended: { number: number; delayMs: number; cause: Cause }): void {
    const { number, delayMs, cause } = ended;
    const { endpoint, most } = policy;
    this.#resting.add(endpoint);
    this.#starting.delete(endpoint);
    this.#all.push({
      endpoint,
      process: cause.process ?? endpoint,
      node: cause.node ?? '',
      restart: number,
      most,
      exitCode: cause.exitCode ?? null,
      signal: cause.signal ?? null,
      why: cause.summary,
      at: this.#options.clock.date().toISOString(),
      delayMs,
      startedAt: null,
      backAfterMs: null,
      logFile: `${cause.logFile ?? ''}.${number}`,
    });
    this.#tell('waiting', endpoint);
  }

  start(endpoint: string, number: number): void {
    this.#numbers.set(endpoint, number);
    this.#resting.delete(endpoint);
    this.#starting.add(endpoint);
    this.#change(endpoint, { startedAt: this.#options.clock.date().toISOString() });
    this.#tell('starting', endpoint);
  }

  back(endpoint: string): void {
    this.#starting.delete(endpoint);
    const last = this.#all.findLast((each) => each.endpoint === endpoint);
    if (!last) return;
    this.#change(endpoint, {
      backAfterMs: Math.max(this.#options.clock.date().getTime() - Date.parse(last.at), 0),
    });
    this.#tell('ready', endpoint);
  }

  /** No process is wanted any more. */
  release(): void {
    this.#resting.clear();
    this.#starting.clear();
  }

  /** Restarts after ends that were noticed since `date`, and those of workers that were not back then. */
  since(date: Date): WorkerRestart[] {
    return this.#all
      .filter(({ at, backAfterMs }) => Date.parse(at) + (backAfterMs ?? 0) >= date.getTime())
      .map(({ most: _, ...restart }) => restart);
  }

  #change(endpoint: string, change: Partial<WorkerRestart>): void {
    const at = this.#all.findLastIndex((each) => each.endpoint === endpoint);
    const last = this.#all[at];
    if (last) this.#all[at] = { ...last, ...change };
  }

  #tell(to: 'waiting' | 'starting' | 'ready', endpoint: string): void {
    const last = this.#all.findLast((each) => each.endpoint === endpoint);
    if (!last) return;
    const { at: endedAt, ...restart } = last;
    this.#options.record.send({ kind: 'worker.restart', to, endedAt, ...restart });
  }
}

const isWaiting = ({ startedAt }: WorkerRestart): boolean => startedAt === null;
const isStarting = ({ startedAt, backAfterMs }: WorkerRestart): boolean =>
  startedAt !== null && backAfterMs === null;

const lastOfEach = (all: readonly KnownRestart[]): KnownRestart[] => [
  ...new Map(all.map((restart) => [restart.endpoint, restart])).values(),
];

function startedOf(all: readonly KnownRestart[]): Record<string, number> {
  const started = all.filter(({ startedAt }) => startedAt !== null);
  return Object.fromEntries(started.map(({ endpoint, restart }) => [endpoint, restart]));
}

/** All restarts that a job's events name, in order. */
export function restartsIn(events: readonly SrtEvent[]): KnownRestart[] {
  const found = new Map<string, KnownRestart>();
  for (const event of events) {
    if (event.kind !== 'worker.restart') continue;
    const { kind: _, v: __, at: ___, source: ____, seq: _____, to: ______, endedAt: at, ...restart } = event;
    found.set(`${restart.endpoint} ${restart.restart} ${at}`, { ...restart, at });
  }
  return [...found.values()];
}

/** What the machine needs to go on. `now`: ms since 1970. */
export function restartsInput(
  found: readonly KnownRestart[],
  { goesOn, now }: { readonly goesOn: boolean; readonly now: number },
): RestartsInput {
  const waiting = goesOn ? lastOfEach(found).filter(isWaiting) : [];
  return {
    numbers: {
      ...startedOf(found),
      ...Object.fromEntries(waiting.map(({ endpoint, restart }) => [endpoint, restart])),
    },
    waiting: waiting.map(({ endpoint, restart, at, delayMs }) => ({
      ...{ endpoint, number: restart },
      leftMs: Math.max(Date.parse(at) + delayMs - now, 0),
    })),
  };
}
