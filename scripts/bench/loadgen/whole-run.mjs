// One run of the built load generator (dist/loadgen.js) against the server with an exact schedule: its result, its memory
// and CPU time, and the server's own log.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { root } from '../jobs.mjs';

const LOOK_MS = 100;

/** Starts the server; `run` gets its port. A concurrency of 21,504 needs more open files than many machines allow at first. */
export async function withServer(options, run) {
  const program = join(root, 'test/support/exact-server.mjs');
  const server = spawn('bash', ['-c', `${RAISE}; exec "$0" "$@"`, process.execPath, program, ...options], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  try {
    const [port] = await once(server.stdout, 'data');
    return await run(Number(port), server);
  } finally {
    server.kill('SIGKILL');
  }
}
/** Opens as many files as this user may; more where the user may raise the limit. */
export const RAISE = '(ulimit -Hn 65536) 2>/dev/null && ulimit -Hn 65536; ulimit -n "$(ulimit -Hn)"';

export const logOf = async (port) => await (await fetch(`http://127.0.0.1:${port}/log`)).json();

/** CPU time in ms (fields 14 and 15 of /proc/PID/stat, in hundredths of a second), and memory in MB. */
function lookAt(pid) {
  try {
    const after = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).split(' ');
    const rss = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return { cpuMs: (Number(after[11]) + Number(after[12])) * 10, rssMb: Number(rss?.[1] ?? 0) / 1_024 };
  } catch {
    return undefined;
  }
}

/** Measures `requests` requests at one concurrency. `config`: settings other than the usual ones. */
export async function wholeRun(dir, port, { concurrency, tokens, requests, isl = 3, ...config }) {
  const directory = join(dir, `run-${port}-${concurrency}`);
  await mkdir(directory, { recursive: true });
  const file = join(directory, 'loadgen.json');
  const settings = {
    ...{
      v: 1,
      url: `http://127.0.0.1:${port}`,
      endpoint: '/v1/completions',
      model: 'served',
      mustList: false,
    },
    ...{ modelPath: null, takesTokenIds: true, isl, osl: tokens, randomRangeRatio: 1, seed: 1 },
    ...{ concurrencies: [concurrency], requestRate: 'inf', promptsMultiplier: requests / concurrency },
    ...{ warmupMultiplier: 0, requestTimeoutMs: 600_000, place: 'node', recordsMiB: 0 },
    ...{ resultDir: directory, progressFile: join(directory, 'progress.json'), ...config },
  };
  await writeFile(file, JSON.stringify(settings));
  const child = spawn(
    'bash',
    ['-c', `${RAISE}; exec "$0" "$@"`, process.execPath, join(root, 'dist/loadgen.js'), '--config', file],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (bytes) => {
      said = (said + bytes).slice(-4_000);
    });
  const looks = [];
  const timer = setInterval(() => {
    const look = lookAt(child.pid);
    if (look) looks.push(look);
  }, LOOK_MS);
  const [code] = await once(child, 'close');
  clearInterval(timer);
  if (code !== 0) throw new Error(`the load generator ended with ${code}: ${said}`);
  const result = JSON.parse(
    await readFile(join(directory, `results_concurrency_${concurrency}.json`), 'utf8'),
  );
  return { result, looks, directory };
}
