// Measures the load generator: chunks for each second of client CPU beside a C client (the limit) and a general HTTP
// client, in one run, and its errors against the log of a server with a known schedule. A part of `npm run bench`; alone:
// `node scripts/bench/loadgen.mjs [--errors-only]`.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildSync } from 'esbuild';
import { median, percentile, table } from './figures.mjs';
import { root, withDirectory } from './jobs.mjs';

const row = table(58, 28);
const here = join(root, 'scripts/bench/loadgen');

/** Streams that come as an engine sends them, many of them, and several chunks in a read. */
const SHAPES = [
  { name: '64 streams, 5 ms', server: ['--itl', '5'], streams: 64, tokens: 300, requests: 192 },
  { name: '512 streams, 20 ms', server: ['--itl', '20'], streams: 512, tokens: 100, requests: 1_536 },
  {
    name: '64 streams, 16 chunks a read',
    server: ['--itl', '0', '--chunks-a-write', '16'],
    ...{ streams: 64, tokens: 512, requests: 1_024 },
  },
];
const ACCURACY = [
  { streams: 1, server: ['--itl', '10'], tokens: 100, requests: 8 },
  { streams: 64, server: ['--itl', '10'], tokens: 100, requests: 256 },
  { streams: 256, server: ['--itl', '20'], tokens: 60, requests: 768 },
];

async function withServer(options, run) {
  const program = join(root, 'test/support/exact-server.mjs');
  const server = spawn(process.execPath, [program, ...options], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  try {
    const [port] = await once(server.stdout, 'data');
    return await run(Number(port));
  } finally {
    server.kill('SIGKILL');
  }
}

async function runClient(argv, port, { streams, tokens, requests }) {
  const [command, ...rest] = argv;
  const child = spawn(command, [...rest, port, streams, tokens, requests].map(String), {
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

export async function loadgenFigures({ errorsOnly = false } = {}) {
  await withDirectory(async (dir) => {
    const own = join(dir, 'own-client.mjs');
    buildSync({
      ...{ entryPoints: [join(here, 'own-client.ts')], outfile: own, bundle: true, format: 'esm' },
      ...{ platform: 'node', target: 'node20', logLevel: 'warning' },
    });
    const c = join(dir, 'client');
    const hasC = spawnSync('gcc', ['-O2', '-o', c, join(here, 'client.c')], { stdio: 'ignore' }).status === 0;
    const clients = {
      own: [process.execPath, own],
      general: [process.execPath, join(here, 'general-client.mjs')],
      ...(hasC ? { c: [c] } : {}),
    };
    for (const shape of errorsOnly ? [] : SHAPES) {
      const per = {};
      for (const [name, argv] of Object.entries(clients)) {
        const all = [];
        for (let run = 0; run < 3; run++)
          all.push((await withServer(shape.server, (port) => runClient(argv, port, shape))).perSecond);
        per[name] = median(all);
      }
      const thousand = (count) => `${(count / 1_000).toFixed(0)} k`;
      const ofC = hasC ? `, ${(per.own / per.c).toFixed(2)} of a C client` : '';
      row(
        `load generator: ${shape.name}, chunks a CPU second`,
        `${thousand(per.own)}, ${(per.own / per.general).toFixed(2)} of a general client${ofC}`,
      );
    }
    for (const shape of ACCURACY) {
      const { ttft, itl, tpot } = await withServer(shape.server, async (port) => {
        const { measured } = await runClient(clients.own, port, shape);
        return errorsOf(measured, await (await fetch(`http://127.0.0.1:${port}/log`)).json());
      });
      const ms = (value) => value.toFixed(2);
      const mean = ttft.reduce((sum, one) => sum + one, 0) / ttft.length;
      row(
        `load generator: errors at ${shape.streams} streams, ms`,
        `TTFT mean ${ms(mean)} p99 ${ms(percentile(ttft, 0.99))}, ITL p99 ${ms(percentile(itl, 0.99))}, TPOT ${(tpot * 100).toFixed(3)} %`,
      );
    }
  });
}

if (import.meta.url === pathToFileURL(process.argv[1]).href)
  await loadgenFigures({ errorsOnly: process.argv.includes('--errors-only') });
