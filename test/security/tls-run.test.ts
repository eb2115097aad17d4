import { appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { connectionSchema } from '../../src/messages/job-directory/job-files.ts';
import { writeRecipe } from '../e2e/recipe.ts';
import { until } from '../support/bus.ts';
import { useJobs } from '../support/jobs.ts';

const jobs = useJobs();

async function encrypted(frontend: 'sglang' | 'dynamo', requests: number) {
  const recipe = await writeRecipe(jobs.dir, { frontend, requests });
  await appendFile(recipe, 'bus: {tls: true}\n');
  return jobs.apply(recipe);
}

it('on an encrypted bus a run survives the kill of its coordinator and its nats-server, and succeeds', async () => {
  const job = await encrypted('sglang', 600);
  await job.pointReached('benchmarking');
  const { coordinatorPid, home } = await job.state();
  const connection = join(await job.jobDir(), 'connection.json');
  expect(connectionSchema.parse(JSON.parse(await readFile(connection, 'utf8'))).ca).toMatch(
    /BEGIN CERTIFICATE/,
  );
  const nats = Number(await readFile(join(home?.directory ?? '', 'nats.pid'), 'utf8'));
  process.kill(coordinatorPid, 'SIGKILL');
  process.kill(nats, 'SIGKILL');
  await until('the next coordinator', async () => (await job.state()).epoch === 2);
  expect(await job.ended(), job.said).toBe(0);
  expect(await job.results()).toMatchObject([{ status: 'done', benchmark: { valid: true } }]);
  for (const id of ['prefill-0-0', 'decode-0-0', 'benchmark'])
    expect((await job.transitions(id)).filter(({ from }) => from === 'preparing')).toHaveLength(1);
}, 90_000);

it("on an encrypted bus Dynamo's engines find their account", async () => {
  const job = await encrypted('dynamo', 4);
  expect(await job.ended(), job.said).toBe(0);
  expect(await job.results()).toMatchObject([{ status: 'done', benchmark: { valid: true } }]);
}, 90_000);
