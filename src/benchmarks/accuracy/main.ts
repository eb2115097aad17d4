import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { parseJson } from '../common/parse-json.ts';
import { checkSchema, missing } from './check.ts';
import { accuracyConfigSchema, RESULT_FILE } from './config.ts';
import { reasonsOf } from './result.ts';
import { evaluate } from './run.ts';
import { ToolFailure } from './tool.ts';

/**
 * `node accuracy.js --check JSON`: exit code 1, and what is missing, where the tool or its data is not there.
 *
 * `node accuracy.js --config FILE [--judge]`: exit code 0 when the tool has left a result, else 1 with the reason in one
 * line. With `--judge` also 1 when the result is not valid, for callers that only see exit codes.
 */
async function main(): Promise<void> {
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => stop.abort(new Error(`stopped by ${signal}`)));
  try {
    const { values } = parseArgs({
      options: { config: { type: 'string' }, judge: { type: 'boolean' }, check: { type: 'string' } },
    });
    if (values.check !== undefined) {
      const check = parseJson(checkSchema, values.check);
      if ('problem' in check) throw new Error(`--check: ${check.problem}`);
      const problems = await missing(check.value);
      if (problems.length > 0) throw new Error(problems.join('; '));
      return;
    }
    if (!values.config) throw new Error('usage: accuracy --config FILE [--judge] | --check JSON');
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
    // The words of a tool explain its failure, and those of this program are the explanation otherwise.
    const level = cause instanceof ToolFailure || stop.signal.aborted ? '' : 'error: ';
    process.stderr.write(`accuracy: ${level}${text.replaceAll(/\s*\n\s*/g, ' ')}\n`);
    process.exit(1);
  }
}

void main();
