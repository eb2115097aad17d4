import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { eventSchema, type ProcessTransition, type SrtEvent } from '../../src/messages/events/events.ts';
import { type JobState, jobStateSchema } from '../../src/messages/job-directory/job-files.ts';
import {
  benchmarkProgressSchema,
  type PointResult,
  pointResultSchema,
} from '../../src/messages/job-directory/result.ts';
import { until } from './bus.ts';
import { leftoversOf } from './leftovers.ts';

export const SRTCTL = resolve('dist/srtctl.js');
/** How long to wait for the end of a stopped command. */
const END_MS = 20_000;

/** A run of the real command line. Its job is the one that did not exist in `outputs` before. */
export class RunningJob {
  readonly child: ChildProcess;
  readonly outputs: string;
  stdout = '';
  stderr = '';
  readonly #ended: Promise<number>;
  readonly #earlier: readonly string[];

  /**
   *
   * @param through a program, with its options, that runs the command
   * @param place working directory and installation, unless both are this directory's
   */
  constructor(
    outputs: string,
    args: readonly string[],
    env: Readonly<Record<string, string>>,
    through: readonly string[] = [],
    place: { readonly cwd?: string; readonly srtctl?: string } = {},
  ) {
    this.outputs = outputs;
    this.#earlier = existsSync(outputs) ? readdirSync(outputs) : [];
    const [program = '', ...words] = [...through, ...[process.execPath, place.srtctl ?? SRTCTL], ...args];
    this.child = spawn(program, words, {
      env: { ...process.env, SRTCTL_OUTPUT: outputs, NO_COLOR: '1', ...env },
      ...(place.cwd === undefined ? {} : { cwd: place.cwd }),
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

  /** The whole output. */
  get said(): string {
    return this.stdout + this.stderr;
  }

  async jobDir(): Promise<string> {
    return until('a job directory', async () => {
      const names = existsSync(this.outputs) ? await readdir(this.outputs) : [];
      const name = names.find(
        (entry) => !this.#earlier.includes(entry) && existsSync(join(this.outputs, entry, `${entry}.json`)),
      );
      return name && join(this.outputs, name);
    });
  }

  async jobId(): Promise<string> {
    return basename(await this.jobDir());
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

  /** Waits until a process is in a state. */
  reached(process: string, to: string, ms = 40_000): Promise<ProcessTransition> {
    return until(
      `${process} ${to}`,
      async () => (await this.transitions(process)).find((event) => event.to === to),
      ms,
    );
  }

  /** Waits until a point (any, unless `ordinal` is given) is in a state. */
  pointReached(to: string, ordinal?: number, ms = 60_000): Promise<SrtEvent> {
    return until(
      `point ${ordinal ?? ''} ${to}`,
      async () =>
        (await this.events()).find(
          (event) =>
            event.kind === 'point.transition' &&
            event.to === to &&
            (ordinal === undefined || event.ordinal === ordinal),
        ),
      ms,
    );
  }

  /** Waits until the benchmark has sent requests. */
  async benchmarking(): Promise<void> {
    await this.pointReached('benchmarking');
    const { logFile } = await this.reached('benchmark', 'ready');
    await until('the benchmark to say something', async () => (await readFile(logFile, 'utf8')) !== '');
  }

  /** Waits until a measured request has been answered, in the point `ordinal` if it is given. */
  async measuring(ms = 60_000, ordinal?: number): Promise<void> {
    const prefix = ordinal === undefined ? '' : `${String(ordinal).padStart(2, '0')}-`;
    const answered = async (): Promise<boolean> => {
      if (this.child.exitCode !== null) throw new Error(`the command has ended instead: ${this.said}`);
      const points = join(await this.jobDir(), 'points');
      const names = existsSync(points) ? await readdir(points) : [];
      for (const name of names.filter((each) => each.startsWith(prefix))) {
        const text = await readFile(join(points, name, 'progress.json'), 'utf8').catch(() => '');
        const { stage, requestsDone } = benchmarkProgressSchema.partial().parse(JSON.parse(text || '{}'));
        if (stage === 'measure' && (requestsDone ?? 0) > 0) return true;
      }
      return false;
    };
    await until('a measured request', answered, ms);
  }

  /** Waits until a process is ready, and returns its pid. */
  async pidOf(process: string): Promise<number> {
    return (await this.reached(process, 'ready')).pid ?? 0;
  }

  /** Each process that was ready under this name, in order. */
  async pidsOf(process: string): Promise<number[]> {
    const ready = (await this.transitions(process)).filter(({ to }) => to === 'ready');
    return [...new Set(ready.flatMap(({ pid }) => pid ?? []))];
  }

  /** The job's own program whose command line contains a text; NaN when there is none. */
  async ownPid(text: string | RegExp): Promise<number> {
    const line = (await this.leftovers()).find((each) => new RegExp(text).test(each));
    return Number(/^process (\d+)/.exec(line ?? '')?.[1]);
  }

  agentPid(node: string): Promise<number> {
    return this.ownPid(`agent-${node}\\.json`);
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

  async statuses(): Promise<string[]> {
    return (await this.results()).map(({ status }) => status);
  }

  /** All remains of this job: processes and its temporary directories. */
  async leftovers(): Promise<string[]> {
    return leftoversOf(await this.jobId());
  }

  /** Waits until nothing of the job is left; the error names what is left. */
  async nothingLeft(): Promise<void> {
    let left: string[] = [];
    const look = async (): Promise<boolean> => {
      left = await this.leftovers();
      return left.length === 0;
    };
    await until('nothing of the job left', look).catch((error: Error) =>
      Promise.reject(new Error(`${error.message}; there is ${left.join('\n')}`)),
    );
  }

  /** Ends the command, gracefully unless that takes too long. */
  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exit = once(this.child, 'exit');
    this.child.kill('SIGTERM');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), END_MS);
    await exit;
    clearTimeout(timer);
  }

  /** Runs at the end of a test, even of a failed one. */
  async destroy(): Promise<void> {
    await this.stop();
    // The job's last processes may still write files.
    await rm(this.outputs, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
}
