import { type ChildProcess, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { until } from '../support/bus.ts';
import { contract, type Side, type Step } from './support/contract.ts';
import { describeReal, pythonOf } from './support/programs.ts';

const MODEL = 'Qwen/Qwen3-32B';
const SIMULATOR = resolve('dist/simulator.js');
const modules = {
  sglang: 'sglang_router.launch_router',
  smg: 'smg.launch_router',
  'vllm-router': 'vllm_router.launch_router',
} as const;
type Kind = keyof typeof modules;

interface Routed extends Side {
  readonly router: ChildProcess;
  readonly engines: readonly ChildProcess[];
}

const started: ChildProcess[] = [];
afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
});

/** A loopback address for this test process alone, whichever suites run beside it. */
let sides = 0;
const network = (): string => `127.${100 + (sides++ % 50)}.${(process.pid >> 8) & 255}.${process.pid & 255}`;

function run(argv: readonly string[], address: string): ChildProcess {
  const [program = '', ...args] = argv;
  const env = {
    ...process.env,
    SRTCTL_NODE_ADDRESS: address,
    SRTCTL_SIM_LOAD_MS: '200',
    SRTCTL_SIM_SPEED: '4',
  };
  const child = spawn(program, args, { env, stdio: 'ignore' });
  started.push(child);
  return child;
}

/** A router, real or simulated, in front of two simulated engines on one address. */
async function side(kind: Kind, isReal: boolean, isDisaggregated: boolean): Promise<Routed> {
  const address = network();
  const engine = (port: number, ...more: string[]): ChildProcess =>
    run(
      [
        ...[process.execPath, SIMULATOR, '-m', 'sglang.launch_server', '--model-path', '/model'],
        ...['--served-model-name', MODEL, '--host', address, '--port', String(port)],
        ...['--context-length', '4096', ...more],
      ],
      address,
    );
  const urls = [`http://${address}:6100`, `http://${address}:6132`] as const;
  const workers = isDisaggregated
    ? ['--pd-disaggregation', '--prefill', urls[0], '8998', '--decode', urls[1]]
    : ['--worker-urls', ...urls];
  const engines = [
    engine(
      6100,
      ...(isDisaggregated
        ? ['--disaggregation-mode', 'prefill', '--disaggregation-bootstrap-port', '8998']
        : []),
    ),
    engine(6132, ...(isDisaggregated ? ['--disaggregation-mode', 'decode'] : [])),
  ];
  const program = isReal ? [pythonOf('routers')] : [process.execPath, SIMULATOR];
  const router = run(
    [
      ...[...program, '-m', modules[kind], ...workers, '--host', address, '--port', '8000'],
      ...['--policy', 'round_robin', '--worker-startup-check-interval', '1', '--prometheus-host', address],
    ],
    address,
  );
  return { url: `http://${address}:8000`, router, engines };
}

const ask = { model: MODEL, max_tokens: 3, ignore_eos: true, temperature: 0 };
const chat = { ...ask, messages: [{ role: 'user', content: 'a b c' }] };
/** Enough tokens that a stream has chunks of each kind, however late they are read. */
const long = { max_tokens: 60 };
const alsoHeaders = ['x-smg-error-code'];
const listsTwo = async (url: string): Promise<boolean> => {
  const answer = await fetch(`${url}/workers`).catch(() => undefined);
  return ((await answer?.text()) ?? '').match(/"is_healthy":true/g)?.length === 2;
};

/**
 * The families that users read. Whether the others exist depends on earlier events, for example on retries.
 */
const families =
  /^(vllm_router_|smg_(http_(requests_total|responses_total|connections_active|request_duration)|router_requests_total|router_request_duration|worker_(health|pool_size|cb_state|cb_outcomes_total|selection_total)$))/;

const post = (name: string, path: string, body: object, more: object = {}): Step<Routed> => ({
  ...{ name, path, body, alsoHeaders },
  ...more,
});

const table: readonly Step<Routed>[] = [
  { name: 'workers are there', act: ({ url }) => until('two workers', () => listsTwo(url), 60_000) },
  { name: 'GET /workers', path: '/workers' },
  ...[
    '/health',
    '/liveness',
    '/readiness',
    '/v1/models',
    '/get_model_info',
    '/list_workers',
    '/nothing',
    '/metrics',
  ].map((path): Step<Routed> => ({ name: `GET ${path}`, path, alsoHeaders })),
  { name: 'GET /v1/completions', path: '/v1/completions', alsoHeaders },
  post('text', '/v1/completions', { ...ask, prompt: 'a b c' }),
  post('text, streamed', '/v1/completions', { ...ask, ...long, prompt: 'a b c', stream: true }),
  post('chat', '/v1/chat/completions', chat),
  post('chat, streamed', '/v1/chat/completions', {
    ...chat,
    ...long,
    stream: true,
    stream_options: { include_usage: true },
  }),
  post('token ids', '/v1/completions', { ...ask, prompt: [1000, 1001, 1002] }),
  post('lists of token ids', '/v1/completions', { ...ask, prompt: [[1000, 1001, 1002]] }),
  post('no model', '/v1/completions', { prompt: 'a', max_tokens: 2 }),
  post('no prompt', '/v1/completions', { model: MODEL }),
  post('another model', '/v1/completions', { ...ask, model: 'other/model', prompt: 'a' }),
  // Which of two workers refuses first, and appears in a header, is chance.
  post(
    'too long',
    '/v1/completions',
    { ...ask, prompt: 'a '.repeat(3_000), max_tokens: 2_000 },
    { alsoHeaders: [] },
  ),
  post(
    'too long, streamed',
    '/v1/completions',
    { ...ask, prompt: 'a '.repeat(3_000), max_tokens: 2_000, stream: true },
    { alsoHeaders: [] },
  ),
  { name: 'POST /flush_cache', path: '/flush_cache', method: 'POST', alsoHeaders },
  { name: 'metrics, on a port of their own', path: '/metrics', port: 29_000, families },
  {
    name: 'the second worker is killed',
    act: async ({ engines }) => {
      const [, second] = engines;
      second?.kill('SIGKILL');
      await until('its end', () => second?.signalCode === 'SIGKILL');
    },
  },
  post('after a death', '/v1/completions', { ...ask, prompt: 'a b c' }),
  post('after a death, again', '/v1/completions', { ...ask, prompt: 'a b c' }),
  // Routers check their workers each minute, and three times; until then a dead worker counts as healthy.
  { name: 'workers after a death', act: async ({ url }) => expect(await listsTwo(url)).toBe(true) },
  {
    name: 'the first worker is killed',
    act: async ({ engines }) => {
      const [first] = engines;
      first?.kill('SIGKILL');
      await until('its end', () => first?.signalCode === 'SIGKILL');
    },
  },
  post('without workers', '/v1/completions', { ...ask, prompt: 'a b c' }),
  { name: 'readiness without workers', path: '/readiness' },
];

/**
 * smg lists the load that was reported last, if any; and of a refused stream it forwards the first part, from
 * either worker.
 */
const CHANCE = new Set(['GET /workers', 'too long, streamed']);

const comparable = (kind: Kind): readonly Step<Routed>[] =>
  kind === 'smg' ? table.filter(({ name }) => !CHANCE.has(name)) : table;

describeReal('a router and its stand-in answer alike', ['routers'], () => {
  const shapes = [
    ...(['sglang', 'smg', 'vllm-router'] as const).map((kind) => [kind, 'aggregated'] as const),
    ...(['sglang', 'smg'] as const).map((kind) => [kind, 'prefill and decode'] as const),
  ];
  it.each(shapes)(
    '%s before %s workers',
    async (kind, shape) => {
      const isDisaggregated = shape !== 'aggregated';
      const [real, standIn] = [
        await side(kind, true, isDisaggregated),
        await side(kind, false, isDisaggregated),
      ];
      expect(await contract({ real, standIn }, comparable(kind))).toEqual([]);
    },
    180_000,
  );

  const refused = [
    ['an unknown option', ['--no-such-option', '1']],
    ['an unknown policy', ['--policy', 'clever']],
  ] as const;
  it.each(
    refused.flatMap(([what, argv]) =>
      (Object.keys(modules) as Kind[]).map((kind) => [kind, what, argv] as const),
    ),
  )(
    '%s ends with exit code 2 for %s',
    async (kind, _, argv) => {
      for (const program of [[pythonOf('routers')], [process.execPath, SIMULATOR]]) {
        const child = run(
          [...program, '-m', modules[kind], '--worker-urls', 'http://127.0.0.1:1', ...argv],
          network(),
        );
        await until('its end', () => child.exitCode !== null, 60_000);
        expect(child.exitCode).toBe(2);
      }
    },
    120_000,
  );
});
