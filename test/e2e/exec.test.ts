import { expect, it } from 'vitest';
import { exists, until } from '../support/bus.ts';
import { useJobs } from '../support/jobs.ts';
import { writeRecipe } from './recipe.ts';

const jobs = useJobs({ SRTCTL_SIM_LOAD_MS: '0' });

it('exec and gpu run commands on nodes while the job runs, url leads to its frontend, and all end with it', async () => {
  const recipe = await writeRecipe(jobs.dir, { frontend: 'sglang' });
  const job = await jobs.apply(recipe, {
    args: ['--serve-only', '--tags', 'mine'],
    env: { SRTCTL_SIM_GPUS: '1' },
  });
  await job.pointReached('benchmarking');
  const { outputs } = job;
  const srtctl = async (...args: string[]) => {
    const run = await jobs.start(args, { outputs });
    return { exitCode: await run.ended(), stdout: run.stdout, stderr: run.stderr };
  };

  const url = await srtctl('url', 'mine');
  expect(url.exitCode, url.stderr).toBe(0);
  expect((await fetch(`${url.stdout.trim()}/v1/models`)).status).toBe(200);

  const words = ['sh', '-c', 'echo "$SRTCTL_NODE $1"; echo wrong >&2; exit 5', 'sh', '$HOME; "x"'];
  expect(await srtctl('exec', 'mine', 'decode-0-0', '--', ...words)).toEqual({
    exitCode: 5,
    stdout: 'node2 $HOME; "x"\n',
    stderr: 'wrong\n',
  });
  const { pid } = await job.reached('decode-0-0', 'ready');
  const ofProcess = await srtctl('exec', 'mine', 'decode-0-0', '--', 'printenv', 'SRTCTL_PROCESS_PID');
  expect(ofProcess.stdout).toBe(`${pid}\n`);
  const late = await srtctl('exec', 'mine', 'agent-node1', '--timeout', '1s', '--', 'sleep', '1000');
  expect(late).toMatchObject({ exitCode: 124, stderr: expect.stringContaining('it took longer than 1 s') });
  expect(await srtctl('exec', 'mine', 'decode-0-0', '--', 'no-such-program')).toMatchObject({
    exitCode: 1,
    stderr: 'srtctl: node2: command not found: no-such-program\n',
  });
  expect(await srtctl('exec', 'mine', 'coordinator', '--', 'true')).toMatchObject({ exitCode: 2 });

  const gpus = await srtctl('gpu', 'mine', '--json');
  expect(gpus.stderr).toBe('');
  expect(
    gpus.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object),
  ).toMatchObject(
    ['node1', 'node2', 'node3'].map((node) => ({ node, name: 'Simulated GPU', memoryUsedMib: 1_024 })),
  );
  const events = (await job.events()).flatMap((event) => (event.kind === 'process.exec' ? event : []));
  expect(events[0]).toMatchObject({ node: 'node2', process: 'decode-0-0', program: 'sh', to: 'started' });
  expect(events.filter(({ program }) => program === 'nvidia-smi')).toHaveLength(6);

  const running = await jobs.start(['exec', 'mine', 'decode-0-0', '--', 'sh', '-c', 'echo $$; sleep 1000'], {
    outputs,
  });
  const child = Number(await until('its pid', () => running.stdout));
  expect(exists(child)).toBe(true);
  expect((await srtctl('cancel', 'mine')).exitCode).toBe(0);
  await running.ended();
  expect(await job.ended(), job.said).toBe(0);
  expect(exists(child)).toBe(false);
  expect(await srtctl('exec', 'mine', 'decode-0-0', '--', 'true')).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('has ended'),
  });
  await job.nothingLeft();
}, 120_000);
