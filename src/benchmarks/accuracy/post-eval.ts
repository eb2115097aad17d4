import type { BenchmarkResult } from '../../messages/job-directory/result.ts';
import type { Finding, Way } from '../../model/checks.ts';
import type { PlannedBenchmark } from '../../model/kinds.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';
import type { BenchmarkContext } from '../common/protocol.ts';
import { accuracyBenchmarks } from './protocol.ts';

const protocolOf = (type: string) => accuracyBenchmarks.find((each) => each.type === type);

/** The recipe whose benchmark is the evaluation of another one; undefined where none is asked for. */
export function evaluationOf(recipe: Recipe): Recipe | undefined {
  const { post_eval: asked, benchmark } = recipe;
  if (asked?.type == null) return undefined;
  const { command: _, passthrough_env: __, ...own } = asked;
  const { type } = benchmark;
  // It runs in the container of the benchmark, which is the engines' image for all types but this.
  const image = type === 'custom' ? benchmark.container_image : null;
  return {
    ...recipe,
    benchmark: { ...benchmark, ...NOTHING, container_image: image, ...own, type: asked.type },
  };
}

/** Keys of the benchmark itself that mean something else to an evaluation. */
const NOTHING = { dataset_name: null, dataset_path: null, tokenizer: null, accuracy: null } as const;

/** What cannot run of the evaluation after the benchmark. */
export function evaluationProblems(recipe: Recipe, way: Way): Finding[] {
  const evaluation = evaluationOf(recipe);
  if (!evaluation) return [];
  const { type } = recipe.benchmark;
  if (protocolOf(type))
    return [{ path: ['post_eval', 'type'], text: `the benchmark ${type} is an evaluation itself` }];
  if (type === 'manual')
    return [{ path: ['post_eval', 'type'], text: 'a manual benchmark has no end that it could follow' }];
  const found = protocolOf(evaluation.benchmark.type)?.cannotRun?.(evaluation, way) ?? [];
  return found.map(({ path, ...rest }) => ({ ...rest, path: ['post_eval', ...path.slice(1)] }));
}

/** The benchmark and, in the same process after it, the evaluation that the recipe asks for. */
export function withEvaluation(planned: PlannedBenchmark, context: BenchmarkContext): PlannedBenchmark {
  const evaluation = evaluationOf(context.recipe);
  const { process } = planned;
  if (!evaluation || !process) return planned;
  const { type } = evaluation.benchmark;
  const after = protocolOf(type)?.plan({ ...context, recipe: evaluation });
  if (!after?.process) return planned;
  const patience = [process, after.process].map((each) => each.progress?.hungAfterMs ?? 0);
  return {
    ...planned,
    evaluation: type,
    before: [...(planned.before ?? []), ...(after.before ?? [])],
    process: {
      ...process,
      argv: [...after.process.argv, '--after', JSON.stringify(process.argv)],
      env: { ...after.process.env, ...process.env },
      files: [...(process.files ?? []), ...(after.process.files ?? [])],
      ...(process.progress ? { progress: { ...process.progress, hungAfterMs: Math.max(...patience) } } : {}),
    },
  };
}

/** A benchmark's result with that of the evaluation after it: valid when both are. */
export async function withAccuracy(
  result: BenchmarkResult,
  { evaluation, resultDir }: Pick<PlannedBenchmark, 'evaluation' | 'resultDir'>,
): Promise<BenchmarkResult> {
  if (evaluation === undefined) return result;
  const { readAccuracy } = await import('./result.ts');
  const { accuracy = [], valid, reason, reasons = [], artifacts } = await readAccuracy(evaluation, resultDir);
  const all = {
    ...result,
    accuracy,
    artifacts: [...new Set([...result.artifacts, ...artifacts])],
  };
  if (valid !== false) return all;
  return {
    ...all,
    valid: false,
    reason: [result.reason, reason].filter((text) => text !== undefined).join('; '),
    reasons: [...(result.reasons ?? []), ...reasons],
  };
}
