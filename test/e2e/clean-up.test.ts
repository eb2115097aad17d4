import { expect, it } from 'vitest';
import { until } from '../support/bus.ts';
import { DEFAULT_LIMITS, useJobs } from '../support/jobs.ts';
import { leftoversOf } from '../support/leftovers.ts';
import { signal } from '../support/signal.ts';
import { writeRecipe } from './recipe.ts';

const jobs = useJobs(DEFAULT_LIMITS);

it('a test that fails in the middle leaves no process and no directory of its job, frozen processes included', async () => {
  const job = await jobs.apply(await writeRecipe(jobs.dir, { frontend: 'sglang', requests: 20_000 }));
  await job.pointReached('deploying');
  await until('an agent', async () => (await job.agentPid('node2')) > 0);
  signal((await job.state()).coordinatorPid, 'SIGSTOP');
  signal(await job.agentPid('node2'), 'SIGSTOP');
  job.child.kill('SIGKILL');
  await job.ended();
  const jobId = await job.jobId();
  expect(await leftoversOf(jobId)).not.toEqual([]);
  await jobs.endAll();
  expect(await leftoversOf(jobId)).toEqual([]);
}, 120_000);
