import { setTimeout as sleep } from 'node:timers/promises';
import { etcdEndpoint, listPrefix } from '../common/etcd.ts';
import { INSTANCES, type Instance, instanceSchema } from '../common/registry.ts';
import type { PrefillTarget } from '../router/dispatch.ts';
import type { Target } from '../router/policy.ts';

const POLL_MS = 250;
/**
 * How long the frontend skips a worker that it could not reach (seen with 1.6.1: its model returns every 10
 * s).
 */
const INHIBITED_MS = 10_000;

export interface KnownWorker extends Target {
  readonly instance: Instance;
  readonly bootstrap: { host: string; port: number };
  readonly foundAt: number;
  /** The frontend skips the worker until then. */
  inhibitedUntil: number;
}

export interface WorkerPool {
  readonly prefill: readonly (PrefillTarget & KnownWorker)[];
  readonly decode: readonly KnownWorker[];
  readonly regular: readonly KnownWorker[];
}

/**
 * The workers in the registry. A model is listed some time after its worker, because the frontend reads the
 * tokenizer first.
 */
export class KnownWorkers {
  readonly #known = new Map<string, KnownWorker>();
  readonly #readMs: number;

  constructor(readMs: number) {
    this.#readMs = readMs;
  }

  get all(): KnownWorker[] {
    return [...this.#known.values()];
  }

  /** Whether the frontend has read a model whose worker is still registered. */
  get hasModel(): boolean {
    return this.all.some((each) => this.#isRead(each));
  }

  isNamed = (model: string): boolean =>
    this.all.some((each) => this.#isRead(each) && each.instance.stand_in.model === model);

  /** Models with a worker that takes requests. */
  get models(): string[] {
    const listed = this.all.filter((each) => this.#isRead(each) && isAsked(each) && generates(each));
    return [...new Set(listed.map(({ instance }) => instance.stand_in.model))];
  }

  readiness(model: string): object {
    const types: Record<string, { workers: number; needs: string[] }> = {};
    for (const { instance } of this.all.filter((each) => each.instance.stand_in.model === model)) {
      const { mode } = instance.stand_in;
      const name = mode === 'agg' ? 'aggregated' : mode;
      types[name] = { workers: (types[name]?.workers ?? 0) + 1, needs: mode === 'decode' ? ['prefill'] : [] };
    }
    const present = Object.keys(types);
    const missing = 'decode' in types && !('prefill' in types) ? ['prefill'] : [];
    const ready = missing.length === 0;
    const namespace = { ready, worker_types: types, present, missing_worker_types: missing };
    return { model, ready, namespaces: { dynamo: namespace } };
  }

  /** Workers that take requests for the model; undefined when there is none. */
  poolOf(model: string): WorkerPool | undefined {
    const asked = this.all.filter((each) => isAsked(each) && each.instance.stand_in.model === model);
    const of = (mode: Instance['stand_in']['mode']) =>
      asked.filter((each) => each.instance.stand_in.mode === mode);
    const pool = { prefill: of('prefill'), decode: of('decode'), regular: of('agg') };
    return pool.decode.length + pool.regular.length > 0 ? pool : undefined;
  }

  async follow(): Promise<never> {
    for (;;) {
      await this.#refresh().catch((error: unknown) => process.stderr.write(`registry: ${String(error)}\n`));
      await sleep(POLL_MS);
    }
  }

  #isRead = ({ foundAt }: KnownWorker): boolean => performance.now() - foundAt >= this.#readMs;

  async #refresh(): Promise<void> {
    const found = await listPrefix(etcdEndpoint(), INSTANCES);
    for (const key of this.#known.keys()) if (!found.has(key)) this.#known.delete(key);
    for (const [key, value] of found) {
      const instance = instanceSchema.safeParse(value).data;
      if (!instance || this.#known.has(key)) continue;
      const url = new URL(instance.stand_in.url);
      const bootstrap = instance.stand_in.bootstrap ?? { host: url.hostname, port: 0 };
      const foundAt = performance.now();
      this.#known.set(key, { instance, url, load: 0, bootstrap, foundAt, inhibitedUntil: 0 });
      process.stdout.write(`found ${instance.component} ${instance.stand_in.url}\n`);
    }
  }
}

const generates = ({ instance }: KnownWorker): boolean => instance.stand_in.mode !== 'prefill';
const isAsked = ({ inhibitedUntil }: KnownWorker): boolean => performance.now() >= inhibitedUntil;

export function inhibit(worker: KnownWorker): void {
  worker.inhibitedUntil = performance.now() + INHIBITED_MS;
}
