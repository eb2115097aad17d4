// What an agent's telemetry costs beside 8 workers with 1,000 samples each; a quarter of them change each second.
// `node scripts/bench/telemetry.mjs` after `make build`.
import { fork } from 'node:child_process';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildSync } from 'esbuild';
import { sleep } from './figures.mjs';
import { root, withDirectory } from './jobs.mjs';

const WORKERS = 8;
const SAMPLES = 1_000;
const SETTLE_MS = 5_000;
const WATCH_MS = 30_000;

/** Metrics as vLLM has them: histograms with long label sets. */
function metricsText(worker, tick) {
  const lines = [];
  for (let at = 0; at < SAMPLES; at++) {
    if (at % 20 === 0)
      lines.push(`# HELP vllm:metric_${at / 20} What it is.`, `# TYPE vllm:metric_${at / 20} histogram`);
    const value = at % 4 === 0 ? at * 1_000 + tick * 17 : at;
    lines.push(
      `vllm:metric_${Math.floor(at / 20)}_bucket{engine="0",model_name="Qwen/Qwen3-32B",worker="${worker}",le="${at % 20}.0"} ${value}.0`,
    );
  }
  return `${lines.join('\n')}\n`;
}

export const telemetryFigures = () =>
  withDirectory(async (directory) => {
    const servers = Array.from({ length: WORKERS }, (_, worker) => {
      let tick = 0;
      return createHttpServer((_, response) => response.end(metricsText(worker, tick++))).listen(
        0,
        '127.0.0.1',
      );
    });
    let bytes = 0;
    const sink = createServer((socket) => socket.on('data', (data) => (bytes += data.length))).listen(
      0,
      '127.0.0.1',
    );
    await sleep(100);
    const outfile = join(directory, 'sampler.cjs');
    const entry = join(root, 'scripts/bench/telemetry/sampler.ts');
    buildSync({
      entryPoints: [entry],
      outfile,
      bundle: true,
      platform: 'node',
      format: 'cjs',
      logLevel: 'error',
    });
    const ports = [sink, ...servers].map((server) => String(server.address().port));
    // As an agent is started.
    const child = fork(outfile, [directory, ...ports], { execArgv: ['--max-semi-space-size=1'] });
    const ask = () =>
      new Promise((resolve) => {
        child.once('message', resolve);
        child.send('tell');
      });
    try {
      await sleep(1_000);
      const idle = await ask();
      child.send('start');
      await sleep(SETTLE_MS);
      const [before, bytesBefore] = [await ask(), bytes];
      await sleep(WATCH_MS);
      const after = await ask();
      const seconds = WATCH_MS / 1_000;
      return {
        corePercent: ((after.cpuMs - before.cpuMs) / WATCH_MS) * 100,
        moreMb: (after.rss - idle.rss) / 1024 / 1024,
        changedPerSecond: (after.samples - before.samples) / seconds,
        kbPerSecond: (bytes - bytesBefore) / 1024 / seconds,
      };
    } finally {
      child.disconnect();
      for (const server of [sink, ...servers]) server.close();
    }
  });

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { corePercent, moreMb, changedPerSecond, kbPerSecond } = await telemetryFigures();
  console.log(`telemetry of ${WORKERS} workers with ${SAMPLES} samples each, at 1 s:`);
  console.log(`  ${corePercent.toFixed(2)} % of a core (at most 3), ${moreMb.toFixed(1)} MB (at most 30)`);
  console.log(
    `  ${changedPerSecond.toFixed(0)} changed values and ${kbPerSecond.toFixed(0)} KB a second on the bus`,
  );
  process.exit(0);
}
