import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { agentOfSource } from '../../messages/events/authorship.ts';
import { type ProcessTransition, parseEvents, type SrtEvent } from '../../messages/events/events.ts';
import { agentOfLog, jobPaths } from '../../messages/job-directory/files.ts';
import { linesOf } from '../../os/files/lines-of.ts';
import type { JobOnDisk } from '../jobs/job-dir.ts';
import type { Anchor } from './log-clock.ts';

/** A log of a job, and what the job's events say about it. */
export interface IndexedLog {
  /** The process's name; `coordinator`, `nats`, `agent-<agent>`; `<process>.<n>`: before the nth restart. */
  readonly process: string;
  /** The node of the process; null for the coordinator and nats-server. */
  readonly node: string | null;
  /** The agent that runs the process; null where the log is only a file. */
  readonly agent: string | null;
  readonly file: string;
  readonly anchors: readonly Anchor[];
  /** How far the clock of the node is ahead of the job's, ms. */
  readonly aheadMs: number;
}

interface Known {
  readonly node: string;
  readonly agent: string;
  readonly file: string;
}

/** Bytes; the bus carries no larger message than half of it. */
const LONGEST_EVENT = 2 * 1_048_576;

/** `decode-2` before `decode-10`. */
const BY_NUMBER = new Intl.Collator('en', { numeric: true });

/** The logs of a job, from its events and its directory. `refresh` reads only what was added since the last time. */
export class LogIndex {
  readonly #job: Pick<JobOnDisk, 'jobDir' | 'jobId'>;
  #offset = 0;
  readonly #processes = new Map<string, Known>();
  /** For each file the anchors of its content, and before them those of the contents that were put aside. */
  readonly #anchors = new Map<string, Anchor[][]>();
  readonly #aheadMs = new Map<string, number>();
  readonly #agents = new Set<string>();

  constructor(job: Pick<JobOnDisk, 'jobDir' | 'jobId'>) {
    this.#job = job;
  }

  /** Agents that have joined and not left, in the order of their names. */
  get agents(): readonly string[] {
    return [...this.#agents].sort(BY_NUMBER.compare);
  }

  async refresh(): Promise<readonly IndexedLog[]> {
    const { events, logs, sweepLog, natsLog } = jobPaths(this.#job.jobDir, this.#job.jobId);
    for await (const { text, next } of linesOf(events, { from: this.#offset, longest: LONGEST_EVENT })) {
      for (const event of parseEvents(text)) this.#take(event);
      this.#offset = next;
    }
    const names = await readdir(logs).catch((): string[] => []);
    const own = (process: string, file: string): IndexedLog => ({
      ...{ process, node: null, agent: null, file, anchors: [], aheadMs: 0 },
    });
    const ofAgents = names.flatMap((name) => {
      const agent = agentOfLog(name);
      const log = own(`agent-${agent}`, join(logs, name));
      return agent === undefined ? [] : [{ ...log, node: agent, aheadMs: this.#aheadOf(agent) }];
    });
    // `<log>.<n>` is the log of a worker before its nth restart.
    const earlier = new Map<string, number[]>();
    for (const name of names) {
      const [, own, number] = /^(.+)\.(\d+)$/.exec(name) ?? [];
      if (own !== undefined) earlier.set(own, [...(earlier.get(own) ?? []), Number(number)]);
    }
    return [
      ...[...this.#processes].flatMap(([process, known]) => this.#logsOf(process, known, earlier)),
      own('coordinator', sweepLog),
      own('nats', natsLog),
      ...ofAgents,
    ].sort((a, b) => BY_NUMBER.compare(a.process, b.process));
  }

  #take(event: SrtEvent): void {
    if (event.kind === 'clock.offset') this.#aheadMs.set(event.node, event.offsetMs);
    if (event.kind === 'agent.transition') {
      if (event.to === 'lost' || event.to === 'left') this.#agents.delete(event.node);
      else if (event.to === 'joined') this.#agents.add(event.node);
    }
    if (event.kind !== 'process.transition') return;
    const agent = agentOfSource(event.source) ?? event.node;
    this.#processes.set(event.process, { node: event.node, agent, file: event.logFile });
    const anchor = this.#anchorOf(event, agent);
    if (!anchor) return;
    const contents = this.#anchors.get(event.logFile) ?? [[]];
    this.#anchors.set(event.logFile, contents);
    // A log that begins anew was put aside when its worker started again.
    if (anchor.offset === 0 && contents.at(-1)?.length) contents.push([]);
    contents.at(-1)?.push(anchor);
  }

  #anchorOf({ at, to, logFrom, logTo }: ProcessTransition, agent: string): Anchor | undefined {
    const offset = to === 'starting' ? logFrom : to === 'stopping' ? logTo : undefined;
    return offset === undefined ? undefined : { offset, at: Date.parse(at) - this.#aheadOf(agent) };
  }

  /** The log of a process, and those before its restarts; `earlier`: the numbers of those, by the name of the log's file. */
  #logsOf(
    process: string,
    { node, agent, file }: Known,
    earlier: ReadonlyMap<string, readonly number[]>,
  ): IndexedLog[] {
    const contents = this.#anchors.get(file) ?? [];
    const aheadMs = this.#aheadOf(agent);
    const before = (earlier.get(basename(file)) ?? []).map((number) => ({
      ...{ process: `${process}.${number}`, node, agent: null, file: `${file}.${number}`, aheadMs },
      anchors: contents[number - 1] ?? [],
    }));
    return [{ process, node, agent, file, anchors: contents.at(-1) ?? [], aheadMs }, ...before];
  }

  #aheadOf(agent: string): number {
    return this.#aheadMs.get(agent) ?? 0;
  }
}
