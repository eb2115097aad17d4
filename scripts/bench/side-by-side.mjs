// srtctl's load generator, vLLM's client and aiperf beside what the server really sent:
// `node scripts/bench/side-by-side.mjs [CLIENT…] [--concurrency 1x16x64x256] [--requests-mult 4]`, CLIENT srtctl, vllm-bench or
// aiperf. Each measures a fresh server of an exact schedule; the server's own log of the same requests is the second line. The
// programs are those of scripts/real/setup.sh vllm aiperf.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { parseArgs } from 'node:util';
import { table } from './figures.mjs';
import { root, withDirectory } from './jobs.mjs';
import { logOf, withServer } from './loadgen/whole-run.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    concurrency: { type: 'string', default: '1x16x64x256' },
    'requests-mult': { type: 'string', default: '4' },
  },
});
const [ISL, OSL] = [64, 64];
const SERVER = ['--ttft', '100', '--itl', '20'];
const ENVIRONMENTS = { 'vllm-bench': 'vllm', aiperf: 'aiperf' };
const row = table(14, 12, 10, 16, 16, 18, 12, 12);
const mean = (list) => list.reduce((sum, one) => sum + one, 0) / list.length;
const binOf = (environment) => join(root, '.srtctl/real', environment, 'bin');

async function run(argv, env) {
  // bash says the CPU time of what it ran, in minutes and seconds.
  const child = spawn('bash', ['-c', '"$@"; code=$?; times >&2; exit $code', 'bash', ...argv], {
    ...{ cwd: root, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] },
  });
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'])
    child[name].on('data', (bytes) => {
      said[name] += bytes;
    });
  const [code] = await once(child, 'close');
  const seconds = [...(said.stderr.trim().split('\n').at(-1) ?? '').matchAll(/(\d+)m([\d.]+)s/g)];
  const cpuS = seconds.reduce((sum, [, minutes, rest]) => sum + 60 * Number(minutes) + Number(rest), 0);
  return { ...said, code, cpuS };
}

async function measure(client, concurrency, model) {
  const environment = ENVIRONMENTS[client];
  const requests = Math.max(16, concurrency * Number(values['requests-mult']));
  const { figures, cpuS, log } = await withServer(SERVER, async (port) => {
    const argv = [
      ...[process.execPath, join(root, 'dist/srtctl.js'), 'bench', '--url', `http://127.0.0.1:${port}`],
      ...['--tokenizer', model, '--isl', String(ISL), '--osl', String(OSL), '--json'],
      ...['--concurrency', String(concurrency), '--requests', String(requests)],
      ...['--set', 'random_range_ratio=1', '--set', 'num_warmup_mult=1'],
      // Whatever the figures are worth by the client's own judgement, they are compared.
      ...[
        '--set',
        'validity={prompt_tokens: false, send_lag_ms: false, loop_delay_ms: false, client_busy: false}',
      ],
      ...(environment ? ['--client', client] : []),
    ];
    const env = {
      ...{ HF_HUB_OFFLINE: '1', VLLM_NO_USAGE_STATS: '1' },
      ...(environment ? { PATH: `${binOf(environment)}${delimiter}${process.env.PATH}` } : {}),
    };
    const { stdout, stderr, cpuS } = await run(argv, env);
    const line = stdout.trim().split('\n').at(-1) ?? '';
    if (!line.startsWith('{')) throw new Error(`${client} left no figures: ${stderr.slice(-1_000)}`);
    return { figures: JSON.parse(line), cpuS, log: await logOf(port) };
  });
  row(
    ...[client, String(concurrency), String(figures.completed), figures.ttftMs.mean.toFixed(2)],
    ...[figures.tpotMs.mean.toFixed(3), figures.e2elMs.mean.toFixed(1), figures.outputThroughput.toFixed(1)],
    cpuS.toFixed(1),
  );
  // Warm-ups and first requests are before the measured ones.
  const sent = log
    .filter(({ sentAt }) => sentAt.length === OSL)
    .sort((a, b) => a.arrivedAt - b.arrivedAt)
    .slice(-figures.completed);
  const first = Math.min(...sent.map(({ arrivedAt }) => arrivedAt));
  const last = Math.max(...sent.map(({ sentAt }) => sentAt.at(-1)));
  row(
    ...[
      '  server',
      '',
      String(sent.length),
      mean(sent.map((one) => one.sentAt[0] - one.arrivedAt)).toFixed(2),
    ],
    mean(sent.map(({ sentAt }) => (sentAt.at(-1) - sentAt[0]) / (OSL - 1))).toFixed(3),
    mean(sent.map((one) => one.sentAt.at(-1) - one.arrivedAt)).toFixed(1),
    ((sent.length * OSL * 1_000) / (last - first)).toFixed(1),
  );
}

const clients = positionals.length > 0 ? positionals : ['srtctl', 'vllm-bench', 'aiperf'];
await withDirectory(async (dir) => {
  const model = join(dir, 'model');
  const { code, stderr } = await run([
    ...[join(binOf('vllm'), 'python3'), join(root, 'test/real/support/tiny_model.py'), model],
    ...['--vocabulary', '2000'],
  ]);
  if (code !== 0) throw new Error(`there is no tokenizer (scripts/real/setup.sh vllm): ${stderr}`);
  row('client', 'concurrency', 'requests', 'TTFT ms', 'TPOT ms', 'E2EL ms', 'tok/s', 'CPU s');
  for (const concurrency of values.concurrency.split('x').map(Number))
    for (const client of clients) {
      const environment = ENVIRONMENTS[client];
      if (environment && !existsSync(binOf(environment)))
        row(client, `is not here: scripts/real/setup.sh ${environment}`);
      else await measure(client, concurrency, model);
    }
});
