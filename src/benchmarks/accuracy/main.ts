import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { parseJson } from '../common/parse-json.ts';
import { accuracyConfigSchema, RESULT_FILE } from './config.ts';
import { reasonsOf } from './result.ts';
import { evaluate } from './run.ts';

/**
 * `node accuracy.js --config FILE [--judge]`: exit code 0 when the tool has left a result, else 1 with the reason in one
 * line. With `--judge` also 1 when the result is not valid, for callers that only see exit codes.
 */
async function main(): Promise<void> {
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => stop.abort(new Error(`stopped by ${signal}`)));
  try {
    const { values } = parseArgs({ options: { config: { type: 'string' }, judge: { type: 'boolean' } } });
    if (!values.config) throw new Error('usage: accuracy --config FILE [--judge]');
    const config = parseJson(accuracyConfigSchema, await readFile(values.config, 'utf8'));
    if ('problem' in config) throw new Error(`${values.config}: ${config.problem}`);
    const result = await evaluate(config.value, stop.signal);
    await writeFile(join(config.value.resultDir, RESULT_FILE), `${JSON.stringify(result, null, 2)}\n`);
    const reasons = values.judge ? reasonsOf(result.accuracy, config.value) : [];
    if (reasons.length > 0)
      throw new Error(`the result is not valid: ${reasons.map(({ text }) => text).join('; ')}`);
  } catch (error) {
    const cause: unknown = stop.signal.aborted ? stop.signal.reason : error;
    const text = cause instanceof Error ? cause.message : String(cause);
    process.stderr.write(`accuracy: ${text.replaceAll(/\s*\n\s*/g, ' ')}\n`);
    process.exit(1);
  }
}

void main();
