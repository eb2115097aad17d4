import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { natsCommands } from '../../src/cli/commands/watching/bus-examples.ts';
import type { WayIn } from '../../src/cli/jobs/way-in.ts';
import { writeRecipe } from '../e2e/recipe.ts';
import { until } from '../support/bus.ts';
import { useJobs } from '../support/jobs.ts';
import { describeReal, programOf, pythonOf } from './support/programs.ts';

const natsTool = programOf('bus', 'nats');

describeReal('clients of NATS with the key of readers', ['bus'], () => {
  const jobs = useJobs();

  /** A deployment that stays up, and how a reader reaches its bus. */
  async function serving(): Promise<{ jobDir: string; way: WayIn }> {
    const recipe = await writeRecipe(jobs.dir, { frontend: 'sglang' });
    const job = await jobs.apply(recipe, { args: ['--serve-only'] });
    await job.pointReached('benchmarking');
    const jobDir = await job.jobDir();
    const told = await jobs.start(['bus', jobDir, '--json']);
    expect(await told.ended(), told.said).toBe(0);
    return { jobDir, way: JSON.parse(told.stdout) };
  }
  const started: ChildProcess[] = [];
  afterAll(() => {
    for (const child of started) child.kill('SIGKILL');
  });

  /** Runs a program until it has said all of `texts`. */
  async function says(argv: readonly string[], texts: readonly string[]): Promise<void> {
    const [program = '', ...args] = argv;
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    started.push(child);
    let said = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (data) => {
        said += data;
      });
    try {
      await until('all that it should say', () => texts.every((text) => said.includes(text)));
    } catch (error) {
      throw new Error(`${argv.join(' ')}: ${said}`, { cause: error });
    } finally {
      child.kill('SIGKILL');
    }
  }

  it('the printed program for Python prints every kept message', async () => {
    const { jobDir } = await serving();
    const example = await jobs.start(['bus', jobDir, '--example', 'python']);
    expect(await example.ended(), example.said).toBe(0);
    const file = join(jobs.dir, 'watch.py');
    await writeFile(file, example.stdout);
    await says([pythonOf('bus'), file], ['sweep.transition', "'to': 'benchmarking'"]);
  });

  // Go is not everywhere; scripts/real/setup.sh says when this is left out.
  if (existsSync(natsTool)) {
    /** A printed command line, with the tool of this test. The words of this job need no quotes but the subject's. */
    const argvOf = (line: string): string[] => [natsTool, ...line.replaceAll("'", '').split(' ').slice(1)];

    it('the printed command lines of NATS’ own tool show what is, and what was', async () => {
      const { way } = await serving();
      const [live, all] = natsCommands(way);
      await says(argvOf(live), ['.heartbeat']);
      await says(argvOf(all), ['"to":"booting"', '"to":"benchmarking"']);
    });

    it('NATS’ own tool may not publish, purge or ask for a log', async () => {
      const { jobDir, way } = await serving();
      const login = ['--server', way.url, '--nkey', way.keyFile];
      const root = way.subjects.replace(/\.>$/, '');
      for (const args of [
        ['pub', `${root}.all.desired`, '{}'],
        ['pub', `${root}.control.cancel`, '{}'],
        ['req', `${root}.log.node1.prefill-0-0`, '{"v":1}'],
        ['stream', 'purge', '-f', way.stream],
        ['stream', 'rm', '-f', way.stream],
      ])
        await says([natsTool, ...login, ...args], ['ermissions']);
      const status = await jobs.start(['status', jobDir]);
      expect(await status.ended()).toBe(0);
      expect(status.said).toContain('serving');
    });
  }
});
