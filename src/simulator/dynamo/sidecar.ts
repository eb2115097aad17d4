import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { Arguments } from '../common/argv.ts';
import { type Registration, reachEtcd } from '../common/etcd.ts';
import { Fatal } from '../common/fatal.ts';
import { parseJson, readBody, serve } from '../common/http.ts';
import { logInToNats } from '../common/nats-login.ts';
import { proxy, whenGone } from '../router/upstream.ts';
import { ask, say } from '../router/workers.ts';
import { registerInstances, requestPlace, serveStatus } from './worker.ts';

const RETRY_MS = 200;
/** Where the stand-in of an engine describes itself to that of its sidecar, in place of gRPC. */
export const DESCRIBED = '/stand-in';

const describedSchema = z.object({
  model: z.string(),
  mode: z.enum(['agg', 'prefill', 'decode']),
  bootstrapPort: z.number(),
  leads: z.boolean(),
  ready: z.boolean(),
});
export type Described = z.infer<typeof describedSchema>;

/**
 * `python3 -m dynamo.ENGINE.sidecar`: registers an engine that it reaches at --grpc-endpoint, and passes requests on to it.
 * Its options are those of ai-dynamo 1.6.1; between the stand-ins gRPC is HTTP.
 */
export async function runSidecar(module: string, argv: readonly string[]): Promise<void> {
  const args = new Arguments(argv);
  const endpoint = args.text('grpc-endpoint');
  if (endpoint === undefined)
    throw new Fatal('error: the following required arguments were not provided:\n  --grpc-endpoint', {
      exitCode: 2,
    });
  if (module === 'dynamo.trtllm.sidecar' && !args.has('model-path'))
    throw new Fatal('error: the following required arguments were not provided:\n  --model-path', {
      exitCode: 2,
    });
  let registration: Registration | undefined;
  process.on('SIGTERM', () => void Promise.resolve(registration?.revoke()).finally(() => process.exit(0)));
  const url = new URL(`http://${endpoint}`);
  await logInToNats();
  await reachEtcd();
  const worker = { ready: false, metrics: () => '' };
  const place = requestPlace({ host: url.hostname, port: 0 });
  await serveStatus(place, worker, false);
  const engine = await described(url, args.integer(1_800, 'grpc-startup-deadline-secs'));
  // On a follower it passes on events alone, and registers nothing.
  if (engine.leads) {
    await serve(place.host, place.port, async (request, response) => {
      const { method = 'GET', url: path = '/' } = request;
      const body = await readBody(request);
      return proxy({ url, method, path, body, signal: whenGone(response) }, response, 503);
    });
    const told = args.text('disaggregation-mode');
    registration = await registerInstances(
      {
        ...place,
        servedModel: engine.model,
        mode: told === 'prefill' || told === 'decode' ? told : engine.mode,
        bootstrapPort: engine.bootstrapPort,
      },
      1,
      ({ message }) => {
        process.stderr.write(`Traceback (most recent call last):\n  ...\n${message}\n`);
        process.exit(1);
      },
    );
  }
  worker.ready = true;
  say('INFO', `${module} serves ${engine.model} of ${endpoint}`);
}

async function described(url: URL, seconds: number): Promise<Described> {
  const began = performance.now();
  for (;;) {
    const text = (await ask(url, DESCRIBED))?.text;
    const { data } = describedSchema.safeParse(text === undefined ? undefined : parseJson(text));
    if (data?.ready) return data;
    if (performance.now() - began > seconds * 1_000)
      throw new Fatal(`Error: no gRPC at ${url.host} after ${seconds} s`, { exitCode: 1 });
    await sleep(RETRY_MS);
  }
}
