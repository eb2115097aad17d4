import { readFile, writeFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { useJobs } from '../support/jobs.ts';
import { writeRecipe } from './recipe.ts';

const jobs = useJobs();

it("why explains a wrong engine flag: it names the worker, its node, the engine's own words, and what to do", async () => {
  const recipe = await writeRecipe(jobs.dir, { frontend: 'sglang' });
  const decode = '    decode:\n';
  const text = (await readFile(recipe, 'utf8')).replace(decode, `${decode}      enable-flux-mode: true\n`);
  await writeFile(recipe, text);
  const job = await jobs.apply(recipe, { env: { SRTCTL_SIM_UNKNOWN_OPTIONS: '--enable-flux-mode' } });
  expect(await job.ended(), job.said).toBe(1);
  const error = 'launch_server.py: error: unrecognized arguments: --enable-flux-mode';
  const [result] = await job.results();
  expect(result).toMatchObject({
    status: 'failed',
    benchmarkStartedAt: null,
    cause: { exitCode: 2, error, signature: 'wrong-option' },
  });
  // Both decode workers have the flag; which one ends first is chance.
  const { process, node, advice = '' } = result?.cause ?? {};
  expect(['decode-0-0 node2', 'decode-1-0 node3']).toContain(`${process} ${node}`);
  const why = jobs.run(job.outputs, ['why']).stdout;
  expect(why).toContain(`${process} (decode worker on ${node}) failed: ended with exit code 2`);
  expect(why).toContain(`error: ${error}`);
  expect(advice).toContain('options in the recipe');
  expect(why).toContain(advice);
});
