import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { parseJson } from '../common/parse-json.ts';
import { runBenchmark } from './benchmark.ts';
import { loadgenConfigSchema } from './config.ts';
import { whyNotValid } from './figures/why-not-valid.ts';
import { runOutsideBenchmark } from './outside-benchmark.ts';
import type { ThreadData } from './threads/messages.ts';
import { serveThread } from './threads/thread.ts';

/**
 * `node loadgen.js --config FILE [--judge [--lossy]]`: exit code 0 when it finished, else 1 with the reason
 * in one line. With `--judge` also 1 when the figures are invalid, for callers that only see exit codes;
 * `--lossy`: requests may fail.
 */
async function main(): Promise<void> {
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => stop.abort(new Error(`stopped by ${signal}`)));

  try {
    const { values } = parseArgs({
      options: { config: { type: 'string' }, judge: { type: 'boolean' }, lossy: { type: 'boolean' } },
    });
    if (!values.config) throw new Error('usage: loadgen --config FILE [--judge [--lossy]]');
    const config = parseJson(loadgenConfigSchema, await readFile(values.config, 'utf8'));
    if ('problem' in config) throw new Error(`${values.config}: ${config.problem}`);
    const { client } = config.value;
    const results = client
      ? await runOutsideBenchmark({ ...config.value, client }, stop.signal)
      : await runBenchmark(config.value, stop.signal);
    const reason = values.judge ? whyNotValid(config.value.concurrencies, results, values.lossy) : undefined;
    if (reason !== undefined) throw new Error(`the result is not valid: ${reason}`);
  } catch (error) {
    // The error of an aborted timer does not contain the cause; the signal's reason does.
    const cause: unknown = stop.signal.aborted ? stop.signal.reason : error;
    const text = cause instanceof Error ? cause.message : String(cause);
    process.stderr.write(`loadgen: ${text.replaceAll(/\s*\n\s*/g, ' ')}\n`);
    process.exit(1);
  }
  process.exit(0);
}

/** Its threads run the same program. */
if (isMainThread) void main();
else if (parentPort) void serveThread(parentPort, workerData as ThreadData);
