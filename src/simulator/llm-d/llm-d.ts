import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import * as z from 'zod';
import { Arguments, bindAddress } from '../common/argv.ts';
import { Fatal } from '../common/fatal.ts';
import { parseJson, pathOf, readBody, sendJson, sendText, serve } from '../common/http.ts';
import { withFields } from '../router/dispatch.ts';
import { passedOn, proxy, send, whenGone } from '../router/upstream.ts';
import { ask, say } from '../router/workers.ts';

const PREFILLER = 'x-prefiller-host-port';
const GENERATES = new Set(['/v1/completions', '/v1/chat/completions']);

const endpointsSchema = z.object({
  endpoints: z.array(
    z.object({ address: z.string(), port: z.string(), labels: z.record(z.string(), z.string()) }),
  ),
});
const configSchema = z.looseObject({
  plugins: z.array(
    z.looseObject({
      type: z.string(),
      name: z.string().optional(),
      parameters: z.looseObject({ path: z.string().optional() }).optional(),
    }),
  ),
  dataLayer: z.looseObject({ discovery: z.object({ pluginRef: z.string() }) }),
});

/**
 * `epp`: it reads its workers from the file of its discovery plugin, and counts those whose metrics it reads. Workers take
 * turns; between the stand-ins ext_proc is HTTP. The options are those of llm-d-router at ebab687.
 */
export async function runPicker(argv: readonly string[]): Promise<void> {
  const args = new Arguments(argv);
  const config = configSchema.parse(parse(readFileSync(args.text('config-file') ?? '', 'utf8')));
  const { pluginRef } = config.dataLayer.discovery;
  const file = config.plugins.find(({ name, type }) => (name ?? type) === pluginRef)?.parameters?.path;
  if (file === undefined)
    throw new Fatal(`failed to resolve discovery plugin "${pluginRef}"`, { exitCode: 1 });
  const { endpoints } = endpointsSchema.parse(parse(readFileSync(file, 'utf8')));
  const workers = endpoints.map(({ address, port, labels }) => ({
    place: `${address}:${port}`,
    role: labels['llm-d.ai/role'],
  }));
  process.on('SIGTERM', () => process.exit(0));
  const host = bindAddress('0.0.0.0');
  await serve(host, args.integer(9090, 'metrics-port'), async (_, response) => {
    const answers = await Promise.all(
      workers.map(({ place }) => ask(new URL(`http://${place}`), '/metrics')),
    );
    const ready = answers.filter((answer) => answer?.status === 200).length;
    sendText(response, 200, `llm_d_epp_ready_endpoints{name="srtctl"} ${ready}\n`, 'text/plain');
  });
  let turn = 0;
  const pick = (role: string): string | undefined => {
    const of = workers.filter((worker) => worker.role === role);
    return of[turn % of.length]?.place;
  };
  await serve(host, args.integer(9002, 'grpc-port'), (_, response) => {
    const prefill = pick('prefill');
    const destination = pick(prefill === undefined ? 'both' : 'decode');
    turn++;
    sendJson(response, destination === undefined ? 503 : 200, { destination, prefill });
  });
  say('INFO', `endpoint picker with ${workers.length} endpoints`);
}

const address = z.object({ socket_address: z.object({ address: z.string(), port_value: z.number() }) });
const envoySchema = z.looseObject({
  admin: z.object({ address }),
  static_resources: z.looseObject({
    listeners: z.array(z.looseObject({ address })).min(1),
    clusters: z.array(
      z.looseObject({
        name: z.string(),
        load_assignment: z
          .object({
            endpoints: z.array(
              z.object({ lb_endpoints: z.array(z.object({ endpoint: z.object({ address }) })) }),
            ),
          })
          .optional(),
      }),
    ),
  }),
});
const pickedSchema = z.object({ destination: z.string().optional(), prefill: z.string().optional() });

/** `envoy -c FILE`, as far as srtctl's file of it goes. */
export async function runEnvoy([, file = '']: readonly string[]): Promise<void> {
  const { admin, static_resources: all } = envoySchema.parse(parse(readFileSync(file, 'utf8')));
  const picker = all.clusters.find(({ name }) => name === 'picker')?.load_assignment?.endpoints[0]
    ?.lb_endpoints[0]?.endpoint.address.socket_address;
  const [listener] = all.listeners;
  if (!picker || !listener) throw new Fatal('error initializing configuration', { exitCode: 1 });
  process.on('SIGTERM', () => process.exit(0));
  const open = ({ socket_address: { address: on, port_value: port } }: z.infer<typeof address>) =>
    [bindAddress(on), port] as const;
  await serve(...open(admin.address), (_, response) => sendText(response, 200, 'LIVE\n', 'text/plain'));
  await serve(...open(listener.address), async (request, response) => {
    const path = pathOf(request);
    if (path === '/metrics') return sendText(response, 404, '', 'text/plain');
    const body = await readBody(request);
    const url = new URL(`http://${picker.address}:${picker.port_value}`);
    const { data } = pickedSchema.safeParse(parseJson((await ask(url, '/pick'))?.text ?? ''));
    if (!data?.destination) return sendText(response, 503, 'no healthy upstream', 'text/plain');
    const headers = { ...passedOn(request.headers), ...(data.prefill ? { [PREFILLER]: data.prefill } : {}) };
    const to = new URL(`http://${data.destination}`);
    const { method = 'GET' } = request;
    return proxy({ url: to, method, path, body, headers, signal: whenGone(response) }, response, 503);
  });
}

/** `pd-sidecar`: the prefill worker that a request names answers with one token first (connector nixlv2). */
export async function runDecodeSidecar(argv: readonly string[]): Promise<void> {
  const args = new Arguments(argv);
  const host = bindAddress('0.0.0.0');
  const url = new URL(`http://${host}:${args.integer(8001, 'model-server-port')}`);
  process.on('SIGTERM', () => process.exit(0));
  await serve(host, args.integer(8000, 'port'), async (request, response) => {
    const path = pathOf(request);
    if (path === '/health') return sendText(response, 200, '', 'text/plain');
    const text = await readBody(request);
    const prefiller = request.headers[PREFILLER];
    const signal = whenGone(response);
    const { method = 'GET' } = request;
    if (!GENERATES.has(path) || typeof prefiller !== 'string')
      return proxy({ url, method, path, body: text, signal }, response, 502);
    const transfer = { do_remote_decode: true, do_remote_prefill: false };
    const first = { max_tokens: 1, stream: false, stream_options: undefined, kv_transfer_params: transfer };
    let prefilled = '';
    const prefill = new URL(`http://${prefiller}`);
    const body = withFields(text, first) ?? text;
    for await (const part of await send({ url: prefill, method, path, body, signal })) prefilled += part;
    const { data } = z.looseObject({ kv_transfer_params: z.unknown() }).safeParse(parseJson(prefilled));
    const params = data?.kv_transfer_params;
    const second = params == null ? text : (withFields(text, { kv_transfer_params: params }) ?? text);
    return proxy({ url, method, path, body: second, signal }, response, 502);
  });
  say('INFO', `pd-sidecar in front of ${url.host}`);
}
