import { setTimeout as sleep } from 'node:timers/promises';
import type { JobOnDisk } from '../jobs/job-dir.ts';
import { plain } from '../terminal/text.ts';
import type { JobLine } from './model/job-line.ts';
import { type Effect, type Facts, press, settled } from './model/keys.ts';
import { openJob, type Page, topOf, type Ui, uiOf } from './model/ui.ts';
import { cancelJob } from './sources/cancel-job.ts';
import { JobList } from './sources/job-list.ts';
import { LiveJob } from './sources/live-job.ts';
import { ProcessPage } from './sources/process-page.ts';
import { openScreen, type Screen } from './terminal.ts';
import type { Row, Size } from './views/rows.ts';
import type { Scene } from './views/scene.ts';
import { screenOf } from './views/screen.ts';

/** The screen is drawn at most this often, ms, and each second for the ages on it. */
const DRAW_MS = 200;
const TICK_MS = 1_000;
/** Drawing may take this share of a core. */
const SHARE = 0.1;
const LIST_MS = 2_000;

export interface WatchOptions {
  readonly root: string;
  /** The job to open; without one, the list of all jobs. */
  readonly job: JobOnDisk | null;
  /** Streams that do not escape what is written to them. */
  readonly out: NodeJS.WriteStream;
  readonly hasColours: boolean;
  /** The command line of srtctl, without its arguments. */
  readonly command: readonly string[];
}

/** Shows jobs until the user ends it. Resolves with the exit code: that of the job, if one was named and is over. */
export async function watchJobs(options: WatchOptions): Promise<number> {
  const app = new App(options);
  return app.run();
}

class App {
  readonly #options: WatchOptions;
  readonly #list: JobList;
  #ui: Ui;
  #lines: readonly JobLine[] = [];
  #isRead = false;
  #job: LiveJob | null = null;
  #process: ProcessPage | null = null;
  #facts: Facts = { ids: [], count: 0, height: 1, matches: [] };
  #isDirty = true;
  #isDone = false;
  /** Ends the pause before the next frame. */
  #wake = new AbortController();
  /** Keys that were pressed since the last frame. */
  #hasKeys = false;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#list = new JobList(options.root);
    if (options.job) this.#list.add(options.job);
    this.#ui = uiOf(options.job ? { kind: 'job', jobId: options.job.jobId } : { kind: 'jobs' });
  }

  async run(): Promise<number> {
    const { out, hasColours } = this.#options;
    const onSignal = (): void => this.#quit();
    for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.once(signal, onSignal);
    const screen = openScreen({
      ...{ out, hasColours },
      onKey: (key) => this.#press(key, screen),
      onResize: () => this.#soon(),
    });
    void this.#readList();
    try {
      while (!this.#isDone) {
        const before = process.cpuUsage();
        // Changes from here on are for the next frame.
        this.#isDirty = false;
        screen.draw(this.#layOut(screen.size));
        const { user, system } = process.cpuUsage(before);
        await this.#pause(Math.min(TICK_MS, Math.max(DRAW_MS, (user + system) / 1_000 / SHARE)));
      }
    } finally {
      await screen.close();
      for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.off(signal, onSignal);
      this.#process?.close();
      await this.#job?.close();
    }
    this.#sayEnd();
    return this.#exitCode();
  }

  /** What stays on the terminal of a job that was named and is over. */
  #sayEnd(): void {
    const { job, out } = this.#options;
    const scene = this.#job?.scene(Date.now());
    if (job === null || scene?.jobId !== job.jobId || scene.link !== 'over') return;
    const why = scene.cause ? `: ${plain(scene.cause.summary)} (srtctl why ${job.jobId})` : '';
    out.write(`job ${job.jobId}: exit code ${scene.exitCode ?? 'unknown'}${why}\n`);
  }

  /** The rows of the screen; from now on keys refer to what they show. */
  #layOut(size: Size): readonly Row[] {
    this.#openPages();
    const { rows, facts, offset } = screenOf(this.#scene(), this.#ui, size);
    this.#facts = facts;
    this.#ui = settled(this.#ui, facts, offset);
    return rows;
  }

  #scene(): Scene {
    const now = Date.now();
    return {
      jobs: { root: this.#options.root, lines: this.#lines, isRead: this.#isRead },
      job: this.#job?.scene(now) ?? null,
      process: this.#process?.scene() ?? null,
      now,
    };
  }

  #exitCode(): number {
    const { job } = this.#options;
    const scene = this.#job?.scene(Date.now());
    return job !== null && scene?.jobId === job.jobId && scene.link === 'over' ? (scene.exitCode ?? 1) : 0;
  }

  readonly #changed = (): void => {
    this.#isDirty = true;
  };

  /** A key changes the screen without delay. */
  #soon(): void {
    this.#isDirty = true;
    this.#hasKeys = true;
    this.#wake.abort();
  }

  async #pause(ms: number): Promise<void> {
    const until = performance.now() + TICK_MS;
    this.#wake = new AbortController();
    const { signal } = this.#wake;
    if (this.#hasKeys) {
      this.#hasKeys = false;
      return;
    }
    await sleep(ms, undefined, { signal }).catch(() => undefined);
    while (!this.#isDirty && !this.#isDone && performance.now() < until)
      await sleep(DRAW_MS / 4, undefined, { signal }).catch(() => undefined);
    this.#hasKeys = false;
  }

  #quit(): void {
    this.#isDone = true;
    this.#soon();
  }

  #press(key: string, screen: Screen): void {
    const { ui, effect } = press(this.#ui, key, this.#facts);
    this.#ui = ui;
    this.#do(effect, (text) => screen.copy(text));
    // Several keys may come before the next frame.
    this.#layOut(screen.size);
    this.#soon();
  }

  #do(effect: Effect, copy: (text: string) => void): void {
    switch (effect?.kind) {
      case 'quit':
        this.#isDone = true;
        break;
      case 'copy': {
        const command = this.#process?.scene().command;
        if (command === undefined || typeof command === 'string') break;
        copy(command.line);
        this.#note('the command was given to the clipboard of the terminal');
        break;
      }
      case 'cancel': {
        const { jobId } = effect;
        const job = this.#job?.job.jobId === jobId ? this.#job.job : this.#list.job(jobId);
        if (job) void cancelJob(this.#options.command, job).then((said) => this.#note(said));
        break;
      }
    }
  }

  #note(note: string): void {
    this.#ui = { ...this.#ui, note };
    this.#isDirty = true;
  }

  /** Opens what the page needs, and closes what it does not. */
  #openPages(): void {
    const jobId = openJob(this.#ui);
    if ((this.#job?.job.jobId ?? null) !== jobId) {
      void this.#job?.close();
      const job = jobId === null ? undefined : this.#list.job(jobId);
      this.#job = job ? new LiveJob(job, this.#changed) : null;
    }
    const { page } = topOf(this.#ui);
    const process = page.kind === 'process' ? page.process : null;
    if ((this.#process?.process ?? null) !== process) {
      this.#process?.close();
      this.#process = null;
    }
    const node = nodeOf(page, this.#job);
    if (node !== undefined) this.#job?.look(node);
    const past = process === null ? undefined : this.#job?.history.pasts.get(process);
    if (process !== null && past && this.#job && !this.#process)
      this.#process = new ProcessPage(this.#job.job, process, past, this.#job.bus, this.#changed);
  }

  /** The list is read while it is shown, and once before. */
  async #readList(): Promise<void> {
    while (!this.#isDone) {
      if (topOf(this.#ui).page.kind === 'jobs') {
        // A directory that cannot be read now may be there again later.
        const lines = await this.#list.read().catch((error: Error) => {
          this.#note(`the jobs cannot be read: ${plain(error.message)}`);
          return this.#lines;
        });
        this.#lines = lines;
        this.#isRead = true;
        this.#changed();
      }
      await sleep(LIST_MS, undefined, { ref: false });
    }
  }
}

/** The node whose page is open, or that of the process. */
function nodeOf(page: Page, job: LiveJob | null): string | undefined {
  if (page.kind === 'process') return job?.history.pasts.get(page.process)?.node;
  return page.kind === 'job' || page.kind === 'events' ? page.node : undefined;
}
