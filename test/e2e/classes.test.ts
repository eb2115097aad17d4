import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { accuracyBenchmarks } from '../../src/benchmarks/accuracy/protocol.ts';
import { runnableBenchmarkTypes } from '../../src/benchmarks/index.ts';
import { asResolved } from '../../src/recipe/layouts/layout.ts';
import { useJobs } from '../support/jobs.ts';
import { arePresent, type RecipeClass, recipeClasses, shortened } from './classes.ts';

const jobs = useJobs({ SRTCTL_SIM_LOAD_MS: '0', SRTCTL_SIM_SPEED: '50' });

/** Replaces commands that download harnesses and data. */
const COMMAND = `curl -fsS "$SRT_FRONTEND_URL/v1/models" && echo "asked $SRT_FRONTEND_URL"`;
/** For deployments that list no models: TileRT's router, and services alone. */
const commandOf = (name: string): string =>
  /tilert-router|services alone/.test(name) ? 'echo nothing to ask' : COMMAND;

const classes = arePresent ? await recipeClasses() : [];
const runnable = classes.filter(({ benchmark }) => runnableBenchmarkTypes.includes(benchmark));
const refused = classes.filter(({ benchmark }) => !runnableBenchmarkTypes.includes(benchmark));

const written = async (name: string, text: string): Promise<string> => {
  const file = join(jobs.dir, `${name.replaceAll(/\W+/g, '-')}.yaml`);
  await writeFile(file, text);
  return file;
};

describe.skipIf(!arePresent)('a public recipe of each class, with simulated engines', () => {
  it.each(runnable)(
    '$name ($variants)',
    async ({ name, example, benchmark }: RecipeClass) => {
      const job = await jobs.apply(
        await written(name, stringify(asResolved(shortened(example, commandOf(name))))),
      );
      if (benchmark === 'manual') {
        // A run that ends before its benchmark shows its own error, instead of a timeout.
        await Promise.race([job.pointReached('benchmarking', undefined, 200_000), job.ended()]);
        job.child.kill('SIGINT');
      }
      expect(await job.ended(), job.said).toBe(0);
      const [result] = await job.results();
      const figures = benchmark === 'sa-bench';
      const evaluates = accuracyBenchmarks.some(({ type }) => type === benchmark);
      expect(result).toMatchObject({
        status: 'done',
        cause: null,
        benchmark: { valid: figures || evaluates ? true : null },
      });
      expect(result?.benchmark?.serving.map(({ completed, failed }) => [completed, failed])).toEqual(
        figures ? [[4, 0]] : [],
      );
      expect(result?.benchmark?.accuracy?.map(({ samples, errors }) => [samples, errors])).toEqual(
        evaluates ? [[4, 0]] : undefined,
      );
      if (!figures && !evaluates) expect(job.said).toContain('done, no figures');
      await job.nothingLeft();
    },
    240_000,
  );

  it.each(refused)(
    '$name ($variants) is refused before anything starts',
    async ({ name, example, benchmark }) => {
      const job = await jobs.apply(
        await written(name, stringify(asResolved(shortened(example, commandOf(name))))),
      );
      expect(await job.ended()).toBe(2);
      expect(job.said).toContain(`benchmark "${benchmark}" is known but cannot be run yet`);
    },
  );
});
