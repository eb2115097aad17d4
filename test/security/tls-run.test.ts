import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { connectionSchema } from '../../src/messages/job-files.ts';
import { writeRecipe } from '../e2e/recipe.ts';
import { until } from '../support/bus.ts';
import { type RunningJob, startJob } from '../support/job.ts';

let dir: string;
let job: RunningJob | undefined;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));
afterEach(async () => {
  await job?.destroy();
  job = undefined;
});

async function encrypted(frontend: 'sglang' | 'dynamo', requests: number): Promise<RunningJob> {
  const recipe = await writeRecipe(dir, { frontend, requests });
  await appendFile(recipe, 'bus: {tls: true}\n');
  job = await startJob(['apply', '-f', recipe, '--local', '--mock'], {
    SRTCTL_SIM_LOAD_MS: '100',
    SRTCTL_SIM_SPEED: '10',
  });
  return job;
}

it('on an encrypted bus a run goes on when its coordinator and its nats-server were killed, and ends well', async () => {
  const running = await encrypted('sglang', 600);
  await running.pointReached('benchmarking');
  const { coordinatorPid, home } = await running.state();
  const connection = join(await running.jobDir(), 'connection.json');
  expect(connectionSchema.parse(JSON.parse(await readFile(connection, 'utf8'))).ca).toMatch(
    /BEGIN CERTIFICATE/,
  );
  const nats = Number(await readFile(join(home?.directory ?? '', 'nats.pid'), 'utf8'));
  process.kill(coordinatorPid, 'SIGKILL');
  process.kill(nats, 'SIGKILL');
  await until('the next coordinator', async () => (await running.state()).epoch === 2, 15_000);
  expect(await running.ended(), running.stdout + running.stderr).toBe(0);
  expect(await running.results()).toMatchObject([{ status: 'done', benchmark: { valid: true } }]);
  for (const id of ['prefill-0-0', 'decode-0-0', 'benchmark'])
    expect((await running.transitions(id)).filter(({ to }) => to === 'ready')).toHaveLength(1);
}, 90_000);

it('Dynamo’s engines find their account on an encrypted bus', async () => {
  const running = await encrypted('dynamo', 4);
  expect(await running.ended(), running.stdout + running.stderr).toBe(0);
  expect(await running.results()).toMatchObject([{ status: 'done', benchmark: { valid: true } }]);
}, 90_000);
