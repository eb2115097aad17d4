import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import * as z from 'zod';
import { parseJson } from '../common/parse-json.ts';
import { checkSchema, missing } from './check.ts';
import { accuracyConfigSchema, RESULT_FILE } from './config.ts';
import { reasonsOf } from './result.ts';
import { evaluate } from './run.ts';
import { runTool, ToolFailure } from './tool.ts';

/**
 * `node accuracy.js --check JSON`: exit code 1, and what is missing, where the tool or its data is not there.
 *
 * `node accuracy.js --config FILE [--after ARGV] [--judge [--lossy]]`: exit code 0 when the tool has left a result, else 1 with the reason in one
 * line. ARGV, as JSON, runs before the tool. With `--judge` also 1 when the result is not valid, for callers that only see exit codes.
 */
async function main(): Promise<void> {
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => stop.abort(new Error(`stopped by ${signal}`)));
  try {
    const { values } = parseArgs({
      options: {
        ...({ config: { type: 'string' }, check: { type: 'string' }, after: { type: 'string' } } as const),
        ...({ judge: { type: 'boolean' }, lossy: { type: 'boolean' } } as const),
      },
    });
    if (values.check !== undefined) {
      const check = parseJson(checkSchema, values.check);
      if ('problem' in check) throw new Error(`--check: ${check.problem}`);
      const problems = await missing(check.value);
      if (problems.length > 0) throw new Error(problems.join('; '));
      return;
    }
    if (!values.config)
      throw new Error('usage: accuracy --config FILE [--after ARGV] [--judge [--lossy]] | --check JSON');
    const config = parseJson(accuracyConfigSchema, await readFile(values.config, 'utf8'));
    if ('problem' in config) throw new Error(`${values.config}: ${config.problem}`);
    if (values.after !== undefined) {
      const judged = [...(values.judge ? ['--judge'] : []), ...(values.lossy ? ['--lossy'] : [])];
      await runFirst(values.after, judged, stop.signal);
    }
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

/** The benchmark that the evaluation follows; srtctl's own one judges its figures, too. */
async function runFirst(text: string, judged: readonly string[], signal: AbortSignal): Promise<void> {
  const argv = parseJson(z.array(z.string()).min(1), text);
  if ('problem' in argv) throw new Error(`--after: ${argv.problem}`);
  const onLine = (): void => undefined;
  await runTool([...argv.value, ...judged], { cwd: process.cwd(), env: process.env, onLine, signal });
}

void main();
