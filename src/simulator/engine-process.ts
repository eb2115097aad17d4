import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { setting } from './common/argv.ts';
import { type Registration, reachEtcd } from './common/etcd.ts';
import { Fatal } from './common/fatal.ts';
import { mayBecomeReady } from './common/faults.ts';
import { holdLock } from './common/file-lock.ts';
import { PortTaken, pathOf, portOf, sendJson, serve } from './common/http.ts';
import { logInToNats } from './common/nats-login.ts';
import { DESCRIBED, type Described } from './dynamo/sidecar.ts';
import { registerInstances, requestPlace, serveStatus } from './dynamo/worker.ts';
import { BootstrapServer } from './engine/bootstrap.ts';
import { joinRanks } from './engine/dist-init.ts';
import { Engine } from './engine/engine.ts';
import type { EngineOptions } from './engine/engine-options.ts';

const say = (text: string): void => {
  process.stdout.write(`[${new Date().toISOString().slice(0, 19).replace('T', ' ')}] ${text}\n`);
};

/** Runs one rank of an engine, as a server of its own or as a Dynamo worker. Resolves when it serves. */
export async function runEngine(
  flavour: 'server' | 'dynamo' | 'mocker',
  given: EngineOptions,
  workers = 1,
): Promise<void> {
  const isWorker = flavour !== 'server';
  let options = isWorker ? { ...given, ...requestPlace(given), dynamo: true } : given;
  const leader = options.nodeRank === 0;
  let registration: Registration | undefined;
  let engine: Engine | undefined;
  stopOnSignal(async () => {
    // A Dynamo worker ends differently.
    if (!isWorker) await engine?.drain();
    await registration?.revoke();
  });
  crashIfAsked();
  bearIfAsked();
  say(`server_args=${JSON.stringify(options.record)}`);
  await dumpConfig(options);
  if (isWorker) {
    await logInToNats();
    await reachEtcd();
  }

  const bootstrap = leader && options.mode === 'prefill' ? new BootstrapServer() : undefined;
  const served = new Engine(options, bootstrap);
  engine = served;
  if (leader) {
    const bootstrapPort = await bootstrap?.listen(options.host, options.bootstrapPort);
    const server = await serve(options.host, options.port, (request, response) =>
      served.handle(request, response),
    ).catch((error: unknown) =>
      options.sglang && !isWorker && error instanceof PortTaken ? standStill(error) : Promise.reject(error),
    );
    // The system has chosen the free ports by now.
    options = { ...options, port: portOf(server), bootstrapPort: bootstrapPort ?? options.bootstrapPort };
  }
  if (options.grpcPort) await serveSidecar(options, options.grpcPort, served);
  if (isWorker) await serveStatus(options, served, flavour === 'mocker');

  const crash = (error: Error): void => {
    process.stderr.write(`Traceback (most recent call last):\n  ...\n${error.message}\n`);
    process.exit(1);
  };
  await joinRanks(options, crash);
  await load(options);
  if (options.standsBy) await standBy(options.standsBy, served);
  if (isWorker && leader)
    registration = await registerInstances(options, workers, (error) => crash(new Fatal(error.message)));
  served.ready = true;
  say(leader ? 'The server is fired up and ready to roll!' : `Rank ${options.nodeRank} is ready.`);
}

/** Where its sidecar reaches it. */
async function serveSidecar(options: EngineOptions, port: number, served: Engine): Promise<void> {
  const { servedModel: model, mode, bootstrapPort, nodeRank } = options;
  await serve(options.host, port, (request, response) => {
    if (pathOf(request) !== DESCRIBED) return served.handle(request, response);
    const described: Described = { model, mode, bootstrapPort, leads: nodeRank === 0, ready: served.ready };
    return sendJson(response, 200, described);
  });
}

/** Is well, and waits until no other engine of its worker serves (ai-dynamo 1.4.2, `[Shadow]` lines). */
async function standBy(
  { lock, engine }: NonNullable<EngineOptions['standsBy']>,
  served: Engine,
): Promise<void> {
  served.ready = true;
  say('[Shadow] Engine sleeping, startup probe now passing, waiting for lock');
  await holdLock(lock, engine);
  say('[Shadow] Lock acquired, waking engine');
}

/** SGLang (0.5.23) reports that its port is in use, and then waits for a shutdown that does not happen. */
function standStill({ message }: Error): Promise<never> {
  process.stderr.write(`${message}\nINFO:     Waiting for application shutdown.\n`);
  setInterval(() => undefined, 2 ** 30);
  return new Promise(() => undefined);
}

/** Dynamo writes a worker's effective options to a file beside its log. */
async function dumpConfig({ dumpConfigTo, record }: EngineOptions): Promise<void> {
  if (dumpConfigTo === null) return;
  await writeFile(dumpConfigTo, `${JSON.stringify({ server_args: record }, null, 2)}\n`).catch(
    (error: unknown) => say(`WARNING: cannot dump the config: ${String(error)}`),
  );
}

async function load(options: EngineOptions): Promise<void> {
  say(`Load weight begin. model=${options.modelPath}`);
  const parts = 4;
  for (let part = 1; part <= parts; part++) {
    await sleep(options.loadMs / parts);
    say(`Loading safetensors checkpoint shards: ${(100 * part) / parts}% Completed`);
  }
  await mayBecomeReady();
  say('Load weight end.');
}

/** SIGTERM ends a server in good order, unless a test asks for a server that ignores it. */
function stopOnSignal(finish: () => Promise<void>): void {
  if (process.env.SRTCTL_SIM_IGNORE_TERM === '1') {
    process.on('SIGTERM', () => say('SIGTERM received, not listening'));
    return;
  }
  process.on('SIGTERM', () => {
    say('SIGTERM received, shutting down');
    void finish().finally(() => process.exit(0));
  });
}

/**
 * Starts processes like an engine's schedulers: in their own sessions, with children, and orphaned when this
 * process ends.
 */
function bearIfAsked(): void {
  for (let count = setting('SRTCTL_SIM_CHILDREN', 0); count > 0; count--)
    spawn('sh', ['-c', '(setsid sh -c "sleep 86400 & sleep 86400" &)'], { stdio: 'ignore' }).unref();
}

function crashIfAsked(): void {
  const ms = setting('SRTCTL_SIM_CRASH_AFTER_MS', 0);
  if (ms === 0) return;
  setTimeout(() => {
    process.stderr.write(
      'Traceback (most recent call last):\n  File "scheduler.py", line 1, in run_scheduler_process\n',
    );
    process.stderr.write('RuntimeError: CUDA error: an illegal memory access was encountered\n');
    process.exit(1);
  }, ms);
}
