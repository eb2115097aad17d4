import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { eventSchema, type ProcessTransition, type SrtEvent } from '../../src/messages/events.ts';
import { type JobState, jobStateSchema } from '../../src/messages/job-files.ts';
import { type PointResult, pointResultSchema } from '../../src/messages/result.ts';
import { findMarked } from '../../src/node-agent/marks.ts';
import { until } from './bus.ts';

const SRTCTL = resolve('dist/srtctl.js');

/** A run of the real command line with its own output directory. */
export class RunningJob {
  readonly child: ChildProcess;
  readonly outputs: string;
  stdout = '';
  stderr = '';
  readonly #ended: Promise<number>;

  constructor(outputs: string, args: string[], env: Record<string, string>) {
    this.outputs = outputs;
    this.child = spawn(process.execPath, [SRTCTL, ...args], {
      env: { ...process.env, SRTCTL_OUTPUT: outputs, NO_COLOR: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.stdout?.on('data', (data) => {
      this.stdout += data;
    });
    this.child.stderr?.on('data', (data) => {
      this.stderr += data;
    });
    this.#ended = new Promise((settle) => this.child.once('close', (code) => settle(code ?? -1)));
  }

  /** Exit code of the command. */
  ended(): Promise<number> {
    return this.#ended;
  }

  async jobDir(): Promise<string> {
    return until('a job directory', async () => {
      const names = existsSync(this.outputs) ? await readdir(this.outputs) : [];
      const name = names.find((entry) => existsSync(join(this.outputs, entry, `${entry}.json`)));
      return name && join(this.outputs, name);
    });
  }

  async events(): Promise<SrtEvent[]> {
    const text = await readFile(join(await this.jobDir(), 'events.jsonl'), 'utf8').catch(() => '');
    const lines = text.split('\n').slice(0, -1);
    return lines.map((line) => eventSchema.parse(JSON.parse(line)));
  }

  async transitions(process: string): Promise<ProcessTransition[]> {
    return (await this.events()).filter(
      (event): event is ProcessTransition => event.kind === 'process.transition' && event.process === process,
    );
  }

  /** Waits until a process (or, with a prefix ending in `*`, any such) is in a state. */
  reached(process: string, to: string, ms = 40_000): Promise<ProcessTransition> {
    return until(
      `${process} ${to}`,
      async () =>
        (await this.events()).find(
          (event): event is ProcessTransition =>
            event.kind === 'process.transition' && event.to === to && event.process === process,
        ),
      ms,
    );
  }

  pointReached(to: string, ms = 60_000): Promise<SrtEvent> {
    return until(
      `point ${to}`,
      async () => (await this.events()).find((event) => event.kind === 'point.transition' && event.to === to),
      ms,
    );
  }

  async state(): Promise<JobState> {
    return jobStateSchema.parse(JSON.parse(await readFile(join(await this.jobDir(), 'state.json'), 'utf8')));
  }

  async results(): Promise<PointResult[]> {
    const points = join(await this.jobDir(), 'points');
    const names = existsSync(points) ? (await readdir(points)).sort() : [];
    return Promise.all(
      names.map(async (name) =>
        pointResultSchema.parse(JSON.parse(await readFile(join(points, name, 'result.json'), 'utf8'))),
      ),
    );
  }

  /** Everything of this job that is still there: processes with its mark, its temporary directories. */
  async leftovers(): Promise<string[]> {
    const jobId = (await this.jobDir()).split('/').at(-1) ?? '';
    const mark = `SRTCTL_JOB=${jobId}`;
    const pids = (await findMarked([mark])).get(mark) ?? [];
    const own = await processesOf(jobId);
    const directories = (await readdir(tmpdir())).filter((name) => name.includes(jobId));
    return [...pids.map((pid) => `process ${pid}`), ...own, ...directories];
  }

  /** For the end of a test, also of one that failed. */
  async destroy(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      this.child.kill('SIGTERM');
      await this.#ended;
    }
    // What the job's last processes write may come in between.
    await rm(this.outputs, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
}

/** Coordinator, agents and nats-server of a job: their command lines name its directory. */
async function processesOf(jobId: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const line = (await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')).replaceAll('\0', ' ');
    if (line.includes(jobId)) found.push(`process ${pid}: ${line.slice(0, 400)}`);
  }
  return found;
}

export async function startJob(args: string[], env: Record<string, string> = {}): Promise<RunningJob> {
  const outputs = await mkdtemp(join(tmpdir(), 'srtctl-out-'));
  return new RunningJob(outputs, args, env);
}
