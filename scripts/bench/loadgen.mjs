// Measures the load generator: chunks for each second of client CPU beside a C client (the limit), a general HTTP client and
// one on aiohttp (what people use), and its errors against the log of a server with a known schedule. A part of `npm run
// bench`; alone: `node scripts/bench/loadgen.mjs [--capacity] [--errors] [--threads] [--many-streams] [--long-prompts]
// [--many-requests] [--concurrency]`, by default the first two.
//
//   --threads       chunks a second with one thread and with two
//   --many-streams  means beside the server's at 256, 1,024 (30,000 chunks a second in all) and 4,096 streams, or invalid
//   --long-prompts  64 streams of prompts of 200,000 tokens: times as at one stream
//   --many-requests memory during 300,000 requests
//   --concurrency   21,504 requests at once
//
// aiohttp is that of .srtctl/real/aiperf (scripts/real/setup.sh aiperf); $PYTHON names another one.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildSync } from 'esbuild';
import { median, percentile, table } from './figures.mjs';
import { root, withDirectory } from './jobs.mjs';
import { logOf, RAISE, wholeRun, withServer } from './loadgen/whole-run.mjs';

const row = table(58, 28);
const here = join(root, 'scripts/bench/loadgen');

/** Streams that come as an engine sends them, many of them, and several chunks in a read. */
const SHAPES = [
  { name: '64 streams, 5 ms', server: ['--itl', '5'], streams: 64, tokens: 300, requests: 192 },
  { name: '512 streams, 20 ms', server: ['--itl', '20'], streams: 512, tokens: 100, requests: 1_536 },
  {
    name: '64 streams, 16 chunks a read',
    server: ['--itl', '0', '--chunks-a-write', '16'],
    ...{ streams: 64, tokens: 512, requests: 4_096 },
  },
];
const ACCURACY = [
  { streams: 1, server: ['--itl', '10'], tokens: 100, requests: 8 },
  { streams: 64, server: ['--itl', '10'], tokens: 100, requests: 256 },
  { streams: 256, server: ['--itl', '20'], tokens: 60, requests: 768 },
];

async function runClient(argv, port, { streams, tokens, requests }, more = []) {
  const [command, ...rest] = argv;
  const child = spawn(command, [...rest, port, streams, tokens, requests, ...more].map(String), {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.on('data', (bytes) => {
    text += bytes;
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${argv.join(' ')} ended with ${code}`);
  const [figures, measured] = text.split('\n');
  const [chunks, cpuMs] = figures.split(' ').map(Number);
  return { perSecond: chunks / (cpuMs / 1_000), measured };
}

/** Errors in ms against the server's own log, without the first half of the requests, in which code is still compiled. */
function errorsOf(measured, log) {
  const sent = new Map(log.map((one) => [one.index, one]));
  const [ttft, itl] = [[], []];
  let [spanOfServer, span] = [0, 0];
  for (const [index, , first, last, ...gaps] of JSON.parse(measured)) {
    if (index < log.length / 2) continue;
    const { sentAt } = sent.get(index);
    // One clock for both. The request left before the server looked: its own delay in that is no error of the client.
    ttft.push(first - sentAt[0]);
    for (const [at, gap] of gaps.entries()) itl.push(Math.abs(gap - (sentAt[at + 1] - sentAt[at])));
    span += last - first;
    spanOfServer += sentAt.at(-1) - sentAt[0];
  }
  return { ttft, itl, tpot: Math.abs(span / spanOfServer - 1) };
}

/** Python with aiohttp; undefined: there is none. */
function pythonWithAiohttp() {
  const own = join(root, '.srtctl/real/aiperf/bin/python3');
  const python = process.env.PYTHON ?? (existsSync(own) ? own : 'python3');
  return spawnSync(python, ['-c', 'import aiohttp'], { stdio: 'ignore' }).status === 0 ? python : undefined;
}

const thousand = (count) => `${(count / 1_000).toFixed(0)} k`;
const ms = (value) => value.toFixed(2);
const meanOf = (values) => values.reduce((sum, one) => sum + one, 0) / values.length;

async function capacity(clients) {
  for (const shape of SHAPES) {
    const per = Object.fromEntries(Object.keys(clients).map((name) => [name, []]));
    // Clients take turns, so that other work on the machine meets all of them.
    for (let run = 0; run < 3; run++)
      for (const [name, argv] of Object.entries(clients))
        per[name].push((await withServer(shape.server, (port) => runClient(argv, port, shape))).perSecond);
    const own = median(per.own);
    const of = (name, what) => (per[name] ? `, ${(own / median(per[name])).toFixed(2)} of ${what}` : '');
    row(
      `load generator: ${shape.name}, chunks a CPU second`,
      `${thousand(own)}, ${(own / median(per.general)).toFixed(2)} of a general client${of('c', 'a C client')}${of('aiohttp', 'aiohttp')}`,
    );
  }
}

async function errors(own) {
  for (const shape of ACCURACY) {
    const { ttft, itl, tpot } = await withServer(shape.server, async (port) => {
      const { measured } = await runClient(own, port, shape, ['log']);
      return errorsOf(measured, await logOf(port));
    });
    row(
      `load generator: errors at ${shape.streams} streams, ms`,
      `TTFT mean ${ms(meanOf(ttft))} p99 ${ms(percentile(ttft, 0.99))}, ITL p99 ${ms(percentile(itl, 0.99))}, TPOT ${(tpot * 100).toFixed(3)} %`,
    );
  }
}

/** Chunks a second of the load generator's own result, with one thread and with two. */
async function threads(dir) {
  const rates = { 1: [], 2: [] };
  for (let run = 0; run < 3; run++)
    for (const clientThreads of [1, 2]) {
      const options = {
        concurrency: 64,
        tokens: 512,
        requests: 4_096,
        clientThreads,
        reuseConnections: true,
      };
      const { result } = await withServer(['--itl', '0', '--chunks-a-write', '16'], (port) =>
        wholeRun(dir, port, options),
      );
      rates[clientThreads].push(result.chunks / result.durationS);
    }
  const [one, two] = [median(rates[1]), median(rates[2])];
  row(
    'load generator: chunks a second with two threads',
    `${thousand(two)}, ${(two / one).toFixed(2)} of one; the server and the counting thread take their share of the cores`,
  );
}

/** What the server says of the same requests. */
function truthOf(log) {
  const whole = log.filter(({ sentAt }) => sentAt.length > 1);
  const tpot = whole.map(({ sentAt }) => (sentAt.at(-1) - sentAt[0]) / (sentAt.length - 1));
  return { ttft: meanOf(whole.map(({ arrivedAt, sentAt }) => sentAt[0] - arrivedAt)), tpot: meanOf(tpot) };
}

async function manyStreams(dir) {
  for (const { streams, itl, tokens, requests } of MANY) {
    const server = ['--ttft', '200', '--itl', String(itl)];
    const { result, log } = await withServer(server, async (port) => {
      const run = await wholeRun(dir, port, { concurrency: streams, tokens, requests });
      // The probe's answer is shorter than all others.
      return { ...run, log: (await logOf(port)).filter(({ sentAt }) => sentAt.length === tokens) };
    });
    const truth = truthOf(log);
    const apart = (value, of) => `${value.toFixed(1)} (server ${of.toFixed(1)})`;
    const why = result.validity.problems.map(({ what }) => what).join(', ');
    row(
      `load generator: ${streams} streams, ITL ${itl} ms`,
      `TTFT ${apart(result.ttftMs.mean, truth.ttft)}, TPOT ${apart(result.tpotMs.mean, truth.tpot)}; ${result.validity.valid ? 'valid' : `invalid: ${why}`}`,
    );
  }
}
const MANY = [
  { streams: 256, itl: 20, tokens: 60, requests: 1_024 },
  { streams: 1_024, itl: 34, tokens: 100, requests: 3_072 },
  { streams: 4_096, itl: 320, tokens: 20, requests: 8_192 },
];

/**
 * Times of first tokens later than the server sent them, at 64 streams and at one. The clocks of both are compared by the
 * earliest, and requests by their order.
 */
async function longPrompts(dir) {
  for (const streams of [1, 64]) {
    const late = await withServer(['--ttft', '500', '--itl', '20'], async (port) => {
      const options = { concurrency: streams, tokens: 20, requests: Math.max(16, 2 * streams), isl: 200_000 };
      const { directory } = await wholeRun(dir, port, { ...options, recordsMiB: 64 });
      const text = await readFile(join(directory, `requests_concurrency_${streams}.jsonl`), 'utf8');
      const firsts = text
        .trim()
        .split('\n')
        .slice(1)
        .map((line) => JSON.parse(line).first)
        .sort((a, b) => a - b);
      const sent = (await logOf(port))
        .filter(({ sentAt }) => sentAt.length === 20)
        .map(({ sentAt }) => sentAt[0])
        .sort((a, b) => a - b);
      const apart = firsts.map((first, at) => first - sent[at]);
      const least = Math.min(...apart);
      return apart.map((one) => one - least);
    });
    row(
      `load generator: ${streams} streams of 200,000 tokens`,
      `first token later than the earliest by ms: mean ${ms(meanOf(late))} p99 ${ms(percentile(late, 0.99))}`,
    );
  }
}

async function manyRequests(dir) {
  const { looks, result } = await withServer(['--ttft', '0', '--itl', '0', '--chunks-a-write', '4'], (port) =>
    wholeRun(dir, port, {
      concurrency: 64,
      tokens: 4,
      requests: 300_000,
      reuseConnections: true,
      recordsMiB: 64,
    }),
  );
  const at = (share) => looks[Math.floor(share * (looks.length - 1))].rssMb.toFixed(0);
  row(
    `load generator: memory in MB during ${result.completed} requests`,
    `after a tenth ${at(0.1)}, half ${at(0.5)}, at the end ${at(1)}, most ${Math.max(...looks.map(({ rssMb }) => rssMb)).toFixed(0)}; ${(looks.at(-1).cpuMs / 1_000).toFixed(1)} s of CPU`,
  );
}

async function concurrency(dir) {
  const hard = Number(spawnSync('bash', ['-c', `${RAISE}; ulimit -n`]).stdout);
  const most = Math.min(21_504, hard - 200);
  const options = { tokens: 8, promptsMultiplier: 1 };
  const server = ['--ttft', '3000', '--itl', '2000'];
  if (most < 21_504) {
    const refusal = await withServer(server, (port) =>
      wholeRun(dir, port, { ...options, concurrency: 21_504, requests: 21_504 }).catch(
        ({ message }) => message,
      ),
    );
    row(
      'load generator: 21,504 requests at once',
      `refused here: ${String(refusal).split(': ').slice(1).join(': ').trim()}`,
    );
  }
  const { result, looks } = await withServer(server, (port) =>
    wholeRun(dir, port, { ...options, concurrency: most, requests: most }),
  );
  const why = result.validity.problems.map(({ what }) => what).join(', ');
  row(
    `load generator: ${most} requests at once`,
    `${result.completed} completed, ${result.failed} failed${result.errors[0] ? ` (${result.errors[0]})` : ''}, ${result.clientThreads} threads, ${Math.max(...looks.map(({ rssMb }) => rssMb)).toFixed(0)} MB; ${result.validity.valid ? 'valid' : `invalid: ${why}`}`,
  );
}

const PARTS = {
  threads,
  'many-streams': manyStreams,
  'long-prompts': longPrompts,
  'many-requests': manyRequests,
  concurrency,
};

export async function loadgenFigures(parts = ['capacity', 'errors']) {
  await withDirectory(async (dir) => {
    const own = join(dir, 'own-client.mjs');
    buildSync({
      ...{ entryPoints: [join(here, 'own-client.ts')], outfile: own, bundle: true, format: 'esm' },
      ...{ platform: 'node', target: 'node20', logLevel: 'warning' },
    });
    if (parts.includes('capacity')) {
      const c = join(dir, 'client');
      const hasC =
        spawnSync('gcc', ['-O2', '-o', c, join(here, 'client.c')], { stdio: 'ignore' }).status === 0;
      const python = pythonWithAiohttp();
      await capacity({
        own: [process.execPath, own],
        general: [process.execPath, join(here, 'general-client.mjs')],
        ...(hasC ? { c: [c] } : {}),
        ...(python ? { aiohttp: [python, join(here, 'aiohttp-client.py')] } : {}),
      });
    }
    if (parts.includes('errors')) await errors([process.execPath, own]);
    for (const [name, run] of Object.entries(PARTS)) if (parts.includes(name)) await run(dir);
  });
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const asked = process.argv.slice(2).map((option) => option.replace(/^--/, ''));
  await loadgenFigures(asked.length > 0 ? asked : undefined);
}
