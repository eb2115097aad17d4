import { randomUUID } from 'node:crypto';
import { get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Arguments } from '../common/argv.ts';
import { parseJson } from '../common/http.ts';
import type { RouterKind } from './answers.ts';
import type { Target } from './policy.ts';

export type WorkerType = 'prefill' | 'decode' | 'regular';

export interface Worker extends Target {
  readonly id: string;
  readonly type: WorkerType;
  /** The worker's address in the router's list: with @RANK where the router is aware of data parallelism. */
  readonly listed: string;
  readonly bootstrap: { host: string; port: number } | null;
  readonly model: string;
  readonly path: string;
  /** The server's `dp_size` and `tp_size`, as far as it reports them. */
  readonly sizes: Readonly<Record<string, string>>;
  healthy: boolean;
  /** Consecutive failures; too many open the worker's circuit. */
  failures: number;
}

export interface PlannedWorker {
  readonly type: WorkerType;
  readonly url: URL;
  readonly bootstrapPort: number | null;
}

/** After this many failures a worker gets no requests (`--cb-failure-threshold`), for this long. */
const OPEN_AFTER = 10;
const OPEN_MS = 60_000;

export const usable = (worker: Worker): boolean => worker.healthy && worker.failures < OPEN_AFTER;

export function failed(worker: Worker): void {
  worker.failures++;
  if (worker.failures !== OPEN_AFTER) return;
  setTimeout(() => {
    worker.failures = 0;
  }, OPEN_MS).unref();
}

/** The known workers: each is probed until it is healthy, and listed from then on. */
export class Workers {
  readonly #kind: RouterKind;
  readonly #args: Arguments;
  readonly all: Worker[] = [];

  constructor(kind: RouterKind, args: Arguments) {
    this.#kind = kind;
    this.#args = args;
  }

  of(type: WorkerType): Worker[] {
    return this.all.filter((worker) => worker.type === type && usable(worker));
  }

  /** Resolves with whether the worker became healthy in time. */
  async add(planned: PlannedWorker): Promise<boolean> {
    const timeout = this.#args.integer(1_800, 'worker-startup-timeout-secs') * 1_000;
    const interval = this.#args.integer(30, 'worker-startup-check-interval') * 1_000;
    const began = performance.now();
    while ((await ask(planned.url, '/health'))?.status !== 200) {
      if (performance.now() - began > timeout) {
        const why = `worker did not become healthy within ${timeout / 1_000}s`;
        say('ERROR', `Failed job: type=AddWorker, worker=${planned.url.origin}, error=${why}`);
        return false;
      }
      await sleep(interval);
    }
    const info = parseJson((await ask(planned.url, '/get_server_info'))?.text ?? '') as
      | Record<string, unknown>
      | undefined;
    const ranks = this.#args.has('dp-aware')
      ? info?.dp_size
      : this.#args.integer(1, 'intra-node-data-parallel-size');
    if (typeof ranks !== 'number') {
      say('ERROR', `Failed job: type=AddWorker, worker=${planned.url.origin}, error=dp_size is not a number`);
      return false;
    }
    const isAware = this.#args.has('dp-aware', 'intra-node-data-parallel-size');
    for (let rank = 0; rank < ranks; rank++)
      this.all.push({
        id: randomUUID(),
        type: planned.type,
        url: planned.url,
        listed: isAware ? `${planned.url.origin}@${rank}` : planned.url.origin,
        bootstrap:
          planned.type === 'prefill'
            ? { host: planned.url.hostname, port: planned.bootstrapPort ?? 8_998 }
            : null,
        model: String(info?.served_model_name ?? 'unknown'),
        path: String(info?.model_path ?? ''),
        sizes: Object.fromEntries(
          ['dp_size', 'tp_size'].flatMap((name) =>
            typeof info?.[name] === 'number' ? [[name, String(info[name])]] : [],
          ),
        ),
        healthy: true,
        failures: 0,
        load: 0,
      });
    say('INFO', `worker ${planned.url.origin} is healthy`);
    void this.#watch(planned.url);
    return true;
  }

  /** After a worker's death the router reports it healthy until this many probes have failed. */
  async #watch(url: URL): Promise<void> {
    const interval = this.#args.integer(60, 'health-check-interval-secs') * 1_000;
    const threshold = this.#args.integer(3, 'health-failure-threshold');
    let misses = 0;
    for (;;) {
      await sleep(interval);
      misses = (await ask(url, '/health'))?.status === 200 ? 0 : misses + 1;
      for (const worker of this.all) if (worker.url === url) worker.healthy = misses < threshold;
    }
  }

  list(): unknown {
    const count = (type: WorkerType): number => this.all.filter((each) => each.type === type).length;
    return {
      workers: this.all.map((worker) => this.#entry(worker)),
      total: this.all.length,
      stats: {
        prefill_count: count('prefill'),
        decode_count: count('decode'),
        regular_count: count('regular'),
      },
    };
  }

  #entry({ id, listed: url, model, path, sizes, type, healthy, load, bootstrap }: Worker): unknown {
    const common = { url, worker_type: type, is_healthy: healthy, load, priority: 50, cost: 1 };
    const disaggregated = type === 'regular' ? {} : { disaggregation_mode: type };
    switch (this.#kind) {
      case 'sglang':
        return {
          ...{ id, model_id: model, connection_mode: 'HTTP', ...common },
          ...(bootstrap ? { bootstrap_port: bootstrap.port } : {}),
          metadata: { model_path: path, served_model_name: model, ...sizes, ...disaggregated },
          disable_health_check: false,
        };
      case 'smg':
        return {
          ...{ id, model_id: model, connection_mode: 'http', ...common },
          models: [
            { id: model, model_type: ['chat', 'completions', 'responses', 'tools'], context_length: 4_096 },
          ],
          ...{ runtime_type: 'sglang', max_connection_attempts: 20, status: 'ready', http2: false },
          labels: {
            is_generation: 'true',
            model_path: path,
            served_model_name: model,
            max_model_len: '4096',
          },
          ...(bootstrap ? { bootstrap_host: bootstrap.host, bootstrap_port: bootstrap.port } : {}),
        };
      case 'vllm':
        return {
          ...{ model_id: 'unknown', connection_mode: 'Http', ...common },
          ...(bootstrap ? { bootstrap_port: bootstrap.port } : {}),
        };
    }
  }
}

export const say = (level: string, text: string): void => {
  process.stdout.write(`${new Date().toISOString().slice(0, 19).replace('T', ' ')} ${level} ${text}\n`);
};

export function ask(
  url: URL,
  path: string,
): Promise<{ status: number; text: string; type: string } | undefined> {
  return new Promise((resolve) => {
    const request = get(
      { host: url.hostname, port: url.port, path, agent: false, timeout: 5_000 },
      (response) => {
        let text = '';
        response.on('data', (data) => {
          text += data;
        });
        response.once('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            text,
            type: response.headers['content-type'] ?? 'text/plain',
          }),
        );
        response.once('error', () => resolve(undefined));
      },
    );
    request.once('timeout', () => request.destroy());
    request.once('error', () => resolve(undefined));
  });
}
