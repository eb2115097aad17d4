import { setTimeout as sleep } from 'node:timers/promises';
import { Arguments, bindAddress } from '../common/argv.ts';
import { Fatal } from '../common/fatal.ts';
import { parseJson, pathOf, readBody, sendJson, serve } from '../common/http.ts';
import { readAsked, sendPlain } from './answers.ts';
import { type Forwarding, forward, forwardBoth } from './forward.ts';
import { policyOf } from './policy.ts';
import { ask, type PlannedWorker, say, usable, Workers } from './workers.ts';

const ASK_EVERY_MS = 200;

/**
 * SGLang's standalone router (sgl-project/sglang, experimental/sgl-router, README at 0347335): it learns each worker's mode
 * from /server_info, is ready as soon as it has one worker, and has /v1/chat/completions alone. Made from its
 * documentation, and never compared with the real one, which is built from Rust's crates.
 */
export async function runSglRouter(argv: readonly string[]): Promise<void> {
  const args = new Arguments(argv);
  const model = args.text('model-id');
  const urls = args.list('worker-urls').map((url) => new URL(url));
  if (model === undefined || urls.length === 0) {
    const missing = model === undefined ? '--model-id <MODEL_ID>' : '--worker-urls <WORKER_URLS>...';
    const why = `error: the following required arguments were not provided:\n  ${missing}`;
    throw new Fatal(why, { exitCode: 2 });
  }
  process.on('SIGTERM', () => process.exit(0));
  const workers = new Workers('sglang', args);
  const policy = args.text('policy') ?? 'cache_aware';
  const policies = { prefill: policyOf(policy), decode: policyOf('power_of_two') };
  const add = async (url: URL): Promise<void> => void (await workers.add(await described(url)));
  for (const url of urls) void add(url);
  const port = args.integer(30_000, 'port');
  const host = bindAddress(args.text('host') ?? '0.0.0.0');
  await serve(host, port, async (request, response) => {
    const path = pathOf(request);
    switch (`${request.method} ${path}`) {
      case 'GET /healthz':
        return sendPlain(response, 200, 'ok');
      case 'GET /readyz':
        return sendPlain(response, workers.all.some(usable) ? 200 : 503, '');
      case 'GET /v1/models':
        return sendJson(response, 200, {
          object: 'list',
          data: [{ id: model, object: 'model', owned_by: 'sglang' }],
        });
      case 'GET /metrics':
        return sendPlain(response, 200, '');
      case 'POST /v1/chat/completions': {
        const asked = readAsked('sglang', path, await readBody(request), response);
        if (!asked) return;
        const isDisaggregated = workers.all.some(({ type }) => type !== 'regular');
        const forwarding: Forwarding = { kind: 'sglang', workers, policies, isDisaggregated };
        return (isDisaggregated ? forwardBoth : forward)(forwarding, path, asked, response);
      }
      default:
        return sendPlain(response, 404, '');
    }
  });
  say('INFO', `sgl-router listening on ${host}:${port} for ${model}`);
}

/** A worker by what it says of itself, as soon as it says it and is healthy: Workers.add asks again only after 30 s. */
async function described(url: URL): Promise<PlannedWorker> {
  for (;;) {
    const isHealthy = (await ask(url, '/health'))?.status === 200;
    const text = isHealthy ? (await ask(url, '/server_info'))?.text : undefined;
    const info = text === undefined ? undefined : parseJson(text);
    if (typeof info === 'object' && info !== null) {
      const { disaggregation_mode: mode, disaggregation_bootstrap_port: port } = info as Record<
        string,
        unknown
      >;
      const type = mode === 'prefill' || mode === 'decode' ? mode : 'regular';
      return { type, url, bootstrapPort: typeof port === 'number' ? port : null };
    }
    await sleep(ASK_EVERY_MS);
  }
}
