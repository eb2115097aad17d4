import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RunningJob } from '../support/job.ts';
import { useJobs } from '../support/jobs.ts';
import { writeRecipe } from './recipe.ts';

const jobs = useJobs({ SRTCTL_SIM_LOAD_MS: '0' });
let recipe: string;
beforeAll(async () => {
  recipe = await writeRecipe(jobs.dir, { frontend: 'sglang' });
});

const withBenchmark = async (name: string, benchmark: string): Promise<string> => {
  const text = await readFile(recipe, 'utf8');
  const file = join(jobs.dir, name);
  await writeFile(file, `${text.slice(0, text.indexOf('benchmark:'))}${benchmark}`);
  return file;
};

describe('steps before the engines', () => {
  it('run once on each node, to their end, before any worker starts', async () => {
    const script = join(jobs.dir, 'setup.sh');
    await writeFile(script, `echo "set up $SRTCTL_NODE"; echo "$SRTCTL_NODE" >> "${join(jobs.dir, 'ran')}"`);
    const job = await jobs.apply(recipe, { args: ['--setup-script', script] });
    expect(await job.ended(), job.said).toBe(0);
    expect((await readFile(join(jobs.dir, 'ran'), 'utf8')).trim().split('\n').sort()).toEqual([
      'node1',
      'node2',
      'node3',
    ]);
    const events = await job.events();
    const at = (test: (process: string, to: string) => boolean) =>
      events.flatMap((event, index) =>
        event.kind === 'process.transition' && test(event.process, event.to) ? [index] : [],
      );
    const lastSetup = Math.max(...at((process, to) => process.startsWith('setup-') && to === 'stopped'));
    const firstWorker = Math.min(...at((process) => /^(prefill|decode)-/.test(process)));
    expect(lastSetup).toBeLessThan(firstWorker);
  }, 120_000);

  it('fail the point before any engine starts, with the end of their log', async () => {
    const script = join(jobs.dir, 'broken.sh');
    await writeFile(script, 'echo "cannot install"; exit 7');
    const job = await jobs.apply(recipe, { args: ['--setup-script', script] });
    expect(await job.ended()).toBe(1);
    expect((await job.results())[0]).toMatchObject({
      status: 'failed',
      cause: { exitCode: 7, logTail: ['cannot install'] },
    });
    expect(await job.transitions('prefill-0-0')).toEqual([]);
  }, 120_000);
});

describe('benchmark.type custom', () => {
  it('runs the command in bash with the deployment in its environment, quotes included', async () => {
    const file = await withBenchmark(
      'custom.yaml',
      `benchmark:
  type: custom
  env: { GREETING: "it's \\"me\\" $HOME" }
  command: |
    curl -fsS "$SRT_FRONTEND_URL/workers" > workers.json
    printf '%s\\n' "$GREETING" "$SRT_FRONTEND_HOST:$SRT_FRONTEND_PORT" "$SRT_PREFILL_ENDPOINTS" "$SRT_DECODE_ENDPOINTS"
`,
    );
    const job = await jobs.apply(file);
    expect(await job.ended(), job.said).toBe(0);
    const [result] = await job.results();
    expect(result).toMatchObject({ status: 'done', benchmark: { type: 'custom', valid: null } });
    await tellsOfNoFigures(job);
    expect(result?.benchmark?.artifacts).toContain('workers.json');
    const [point] = (await job.state()).points;
    const log = await readFile(join(await job.jobDir(), `points/00-${point?.name}/benchmark.out`), 'utf8');
    const [greeting, frontend, prefill, decode] = log.trim().split('\n');
    expect(greeting).toBe('it\'s "me" $HOME');
    const host = frontend?.replace(/:\d+$/, '');
    expect(frontend).toMatch(/^127\.\d+\.0\.2:\d+$/);
    expect(prefill).toMatch(new RegExp(`^${host}:\\d+$`));
    expect(decode?.split(',')).toHaveLength(2);
  }, 120_000);

  it.each([
    ['the command fails', 'echo no luck; exit 3', 3],
    ['its program does not exist', '(echo no luck; no-such-bench 2>/dev/null) | tee log', 127],
  ])(
    'fails the run when %s',
    async (name, command, exitCode) => {
      const file = await withBenchmark(
        `failing-${exitCode}.yaml`,
        `benchmark:\n  type: custom\n  command: ${JSON.stringify(command)}\n`,
      );
      const job = await jobs.apply(file);
      expect(await job.ended(), name).toBe(1);
      expect((await job.results())[0]).toMatchObject({
        status: 'failed',
        cause: { exitCode, logTail: ['no luck'] },
      });
    },
    120_000,
  );
});

/** Every view of a job reports that it is done and has no figures, and none calls it valid. */
async function tellsOfNoFigures(job: RunningJob): Promise<void> {
  const dir = await job.jobDir();
  expect(job.said).toContain('done, no figures');
  expect(job.said).not.toMatch(/\bvalid\b/);
  for (const command of ['results', 'status']) {
    const told = await jobs.start([command, dir]);
    expect(await told.ended()).toBe(0);
    expect(told.said).toContain('done, no figures');
  }
  const why = await jobs.start(['why', dir]);
  expect(await why.ended()).toBe(0);
  expect(why.said).toMatch(/nothing has failed; point 0 \S+ succeeded without figures/);
  const [line] = (await readFile(join(dir, 'results.jsonl'), 'utf8')).split('\n');
  expect(JSON.parse(line ?? '')).toMatchObject({ status: 'done', valid: null });
  const resume = await jobs.start(['resume', dir]);
  expect(await resume.ended(), resume.said).toBe(0);
  expect(resume.said).toContain('every point is already done, not all with figures');
}

it('benchmark.type manual keeps the endpoints up until the job is stopped, and then counts as done', async () => {
  const job = await jobs.apply(await withBenchmark('manual.yaml', 'benchmark:\n  type: manual\n'));
  await job.pointReached('benchmarking');
  const status = await jobs.start(['status', await job.jobDir(), '--json']);
  expect(await status.ended()).toBe(0);
  expect(JSON.parse(status.stdout)).toMatchObject({ state: 'running' });
  job.child.kill('SIGINT');
  expect(await job.ended(), job.said).toBe(0);
  await tellsOfNoFigures(job);
  await job.nothingLeft();
}, 120_000);

it('a sweep runs its points one after the other in one allocation, each with its own result', async () => {
  const text = await readFile(recipe, 'utf8');
  const file = join(jobs.dir, 'sweep.yaml');
  await writeFile(file, `${text.replace('isl: 64', 'isl: "{isl}"')}sweep:\n  isl: [16, 32]\n`);
  const job = await jobs.apply(file);
  expect(await job.ended(), job.said).toBe(0);
  expect((await job.results()).map(({ status, params }) => [status, params])).toEqual([
    ['done', { isl: 16 }],
    ['done', { isl: 32 }],
  ]);
  // A process that no point changed was started once.
  expect(await job.pidsOf('decode-0-0')).toHaveLength(1);
}, 120_000);
