import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { type AccuracyResult, accuracyResultSchema } from '../../messages/job-directory/accuracy-result.ts';
import type { BenchmarkResult } from '../../messages/job-directory/result.ts';
import { parseJson } from '../common/parse-json.ts';
import { type AccuracyConfig, accuracyConfigSchema, CONFIG_FILE, RESULT_FILE } from './config.ts';

/** What `accuracy.js` leaves: figures, and the tool's own files relative to the point's directory. */
export const toolResultSchema = z.object({
  accuracy: z.array(accuracyResultSchema),
  artifacts: z.array(z.string()),
});
export type ToolResult = z.infer<typeof toolResultSchema>;

/** Why a result does not count, each reason with its limit; empty for a valid one. */
export function reasonsOf(
  accuracy: readonly AccuracyResult[],
  { min, repeats }: Pick<AccuracyConfig, 'min' | 'repeats'>,
): NonNullable<BenchmarkResult['reasons']> {
  if (accuracy.length === 0)
    return [{ what: 'score', text: 'the evaluation has no score', limit: 1, value: 0 }];
  return accuracy.flatMap((one) => {
    const { task, score, samples, asked, errors } = one;
    const wrong = (what: string, text: string, limit: number, value: number) => ({
      ...{ what, limit, value },
      text: `${task}: ${text}`,
    });
    return [
      ...(samples === 0 ? [wrong('samples', 'no question was asked', 1, 0)] : []),
      ...(samples && asked !== null && samples < asked
        ? [wrong('samples', `${samples} of ${asked} questions were asked`, asked, samples)]
        : []),
      ...(one.repeats.length < repeats
        ? [
            wrong(
              'repeats',
              `${one.repeats.length} of ${repeats} repeats have a score`,
              repeats,
              one.repeats.length,
            ),
          ]
        : []),
      ...(errors
        ? [
            wrong(
              'errors',
              `${requests(errors)} got no answer, and ${one.tool} counts that as a wrong one`,
              0,
              errors,
            ),
          ]
        : []),
      ...(min !== null && score < min
        ? [wrong('accuracy', `the score ${score.toFixed(4)} is below accuracy.min (${min})`, min, score)]
        : []),
    ];
  });
}

const requests = (count: number): string => (count === 1 ? '1 request' : `${count} requests`);

/** The result of an evaluation in a point's directory, with all reasons for which it does not count. */
export async function readAccuracy(type: string, resultDir: string): Promise<BenchmarkResult> {
  const invalid = (reason: string): BenchmarkResult => ({
    type,
    valid: false,
    reason,
    serving: [],
    artifacts: [],
  });
  const config = parseJson(accuracyConfigSchema, await readFile(join(resultDir, CONFIG_FILE), 'utf8'));
  if ('problem' in config) return invalid(`${CONFIG_FILE}: ${config.problem}`);
  const read = parseJson(toolResultSchema, await readFile(join(resultDir, RESULT_FILE), 'utf8'));
  if ('problem' in read) return invalid(`${RESULT_FILE}: ${read.problem}`);
  const { accuracy, artifacts } = read.value;
  const reasons = reasonsOf(accuracy, config.value);
  const [first] = reasons;
  return {
    type,
    valid: first === undefined,
    ...(first === undefined ? {} : { reason: reasons.map(({ text }) => text).join('; '), reasons }),
    serving: [],
    accuracy,
    artifacts: [...artifacts, RESULT_FILE, CONFIG_FILE, 'benchmark.out'],
  };
}
