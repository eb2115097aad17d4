import { Arguments, bindAddress } from '../common/argv.ts';
import { Fatal } from '../common/fatal.ts';
import { parseJson, pathOf, readBody, sendJson, serve } from '../common/http.ts';
import { proxy, whenGone } from './upstream.ts';

/**
 * `tilert.pd_vllm.pd_router`, as far as clients see it (tile-ai/TileRT at 0ea1937): it has no list of models, and refuses to
 * stream /v1/completions. It sends whole requests to the vLLM worker and none to the decode workers. Made from its source,
 * and never compared with the real one.
 */
export async function runTilertRouter(argv: readonly string[]): Promise<void> {
  const args = new Arguments(argv);
  const upstream = args.text('vllm-url');
  const decode = args.list('decode');
  if (upstream === undefined || decode.length === 0)
    throw new Fatal('pd_router.py: error: the following arguments are required: --vllm-url, --decode', {
      exitCode: 2,
    });
  process.on('SIGTERM', () => process.exit(0));
  const url = new URL(upstream);
  const port = args.integer(23_333, 'port');
  await serve(bindAddress(args.text('host') ?? '0.0.0.0'), port, async (request, response) => {
    const path = pathOf(request);
    if (path === '/health') return sendJson(response, 200, { status: 'ok', decode_free: decode.length });
    if (path !== '/v1/chat/completions' && path !== '/v1/completions')
      return sendJson(response, 404, { detail: 'Not Found' });
    const body = await readBody(request);
    const asked: unknown = parseJson(body);
    const streams = typeof asked === 'object' && asked !== null && 'stream' in asked && asked.stream === true;
    if (path === '/v1/completions' && streams)
      return sendJson(response, 400, { error: 'streaming is supported on /v1/chat/completions' });
    return proxy({ url, method: 'POST', path, body, signal: whenGone(response) }, response, 502);
  });
  process.stdout.write(`pd_vllm.router router on :${port} -> vllm=${upstream}\n`);
}

/**
 * `atomesh launch`, as a router of the same family that sends a request to a prefill worker and then to a decode worker.
 * It is never compared with the real one.
 */
export const atomeshAsVllm = (argv: readonly string[]): string[] => {
  if (argv[0] !== 'launch') throw new Fatal(`error: unrecognized subcommand '${argv[0]}'`, { exitCode: 2 });
  const own = new Map([
    ['--backend', 2],
    ['--disable-health-check', 1],
    ['--dp-aware', 1],
  ]);
  const words: string[] = [];
  for (let at = 1; at < argv.length; at += own.get(argv[at] ?? '') ?? 1) {
    const word = argv[at] ?? '';
    if (!own.has(word)) words.push(word === '--pd-disaggregation' ? '--vllm-pd-disaggregation' : word);
  }
  return words;
};
