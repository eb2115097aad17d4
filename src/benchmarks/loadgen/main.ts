import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { parseJson } from '../parse-json.ts';
import { runBenchmark } from './benchmark.ts';
import { loadgenConfigSchema } from './config.ts';

/** `node loadgen.js --config FILE`: exit code 0 when it ran to the end, else 1 with one line that says why not. */
async function main(): Promise<void> {
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => stop.abort(new Error(`stopped by ${signal}`)));

  try {
    const { values } = parseArgs({ options: { config: { type: 'string' } } });
    if (!values.config) throw new Error('usage: loadgen --config FILE');
    const config = parseJson(loadgenConfigSchema, await readFile(values.config, 'utf8'));
    if ('problem' in config) throw new Error(`${values.config}: ${config.problem}`);
    await runBenchmark(config.value, stop.signal);
  } catch (error) {
    // An aborted timer says only that it was; the reason says by whom.
    const cause: unknown = stop.signal.aborted ? stop.signal.reason : error;
    const text = cause instanceof Error ? cause.message : String(cause);
    process.stderr.write(`loadgen: ${text.replaceAll(/\s*\n\s*/g, ' ')}\n`);
    process.exit(1);
  }
  process.exit(0);
}

void main();
