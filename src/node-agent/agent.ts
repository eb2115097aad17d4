import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type Bus, BusTimeout, type EventOutbox, type Incoming } from '../messages/bus/bus.ts';
import {
  type AllDesired,
  allDesiredSchema,
  type ClockReply,
  clockRequestSchema,
  type Desired,
  type DesiredReply,
  desiredSchema,
  goodbyeReplySchema,
  type Heartbeat,
  type Hello,
  helloReplySchema,
  type LogReply,
  type LogRequest,
  leaseSchema,
  logRequestSchema,
} from '../messages/events/control.ts';
import { WIRE_VERSION } from '../messages/events/events.ts';
import type { ProcessMetrics } from '../messages/events/metrics.ts';
import { fromToken, type Subjects } from '../messages/events/subjects.ts';
import type { AgentConfig } from '../messages/job-directory/job-files.ts';
import type { GpuHolder } from '../messages/spec/gpu-holder.ts';
import { pieceFrom, tailOf } from '../os/log-tail.ts';
import type { Transition } from './processes/entry.ts';
import type { ProcessTable } from './processes/process-table.ts';

const HEARTBEAT_MS = 1_000;
const LEASE_CHECK_MS = 250;
const HELLO_RETRY_MS = 100;
/** How long an agent that nobody has welcomed yet goes on asking. */
const UNWELCOME_MS = 60_000;
/** How often a goodbye is said, and how long each waits for its answer, ms. */
const GOODBYES = 3;
const GOODBYE_MS = 300;

export interface AgentOptions {
  readonly config: AgentConfig;
  readonly incarnation: string;
  /** IP address by which other nodes reach this one. */
  readonly address: string;
  readonly bus: Bus;
  readonly outbox: EventOutbox;
  readonly subjects: Subjects;
  readonly table: ProcessTable;
  /** What holds GPUs of the node and is not of the job, as it was before anything was started. */
  readonly gpuHolders: readonly GpuHolder[];
  readonly log: Logger;
  /** Monotonic ms; goes on while the process is stopped. */
  readonly now: () => number;
  /** By which its events are dated, and as whose; told to the coordinator, which compares it with its own. */
  readonly clock: { readonly now: () => number; readonly source: string };
  /** The agent's work is over. */
  readonly onEnd: (why: string, exitCode: number, end: { readonly leaseExpired: boolean }) => void;
}

/** An agent is called after its node, and a second one on it `<node>/<group>`. */
const nodeOfAgent = (name: string): string => name.split('/')[0] ?? name;

/** The actor on one node: takes desired state, tells what is, and stops everything when its lease is over. */
export class NodeAgent {
  readonly #options: AgentOptions;
  #epoch = 0;
  #generation = 0;
  /** Of the last desired state whose ports were, or are being, looked at: only its own way leads to it. */
  #looked: Pick<Desired, 'epoch' | 'generation'> = { epoch: 0, generation: 0 };
  #leaseMs = UNWELCOME_MS;
  #renewedAt: number;
  /** What is read from the socket now came after this. */
  #readUpTo: number;
  #greeting = false;
  #ending: { why: string; exitCode: number } | undefined;
  #leaving = false;
  #leaseExpired = false;
  #heartbeatMs = HEARTBEAT_MS;
  readonly #timers: NodeJS.Timeout[] = [];
  #heart: NodeJS.Timeout | undefined;
  /** Of the last regular heartbeat: what is said in between must not wait for the kernel to count. */
  #rssBytes = process.memoryUsage.rss();

  constructor(options: AgentOptions) {
    this.#options = options;
    this.#renewedAt = options.now();
    this.#readUpTo = this.#renewedAt;
  }

  start(): void {
    const { bus, subjects, config, incarnation } = this.#options;
    bus.subscribe(subjects.desired(config.node), desiredSchema, (incoming) => void this.#onDesired(incoming));
    bus.subscribe(subjects.allDesired, allDesiredSchema, ({ message }) => {
      if (message.epoch < this.#epoch || message.generation < this.#generation) return;
      // Whoever missed the first of these may have learned of the generation by saying hello.
      if (message.generation > this.#generation) {
        this.#heed(message);
        this.#beat();
        // Where nothing runs nothing is to be told of.
        const waitMs = this.#options.table.alive === 0 ? 0 : (message.afterMs ?? 0);
        setTimeout(() => this.#stopAll(message), waitMs);
      } else if (message.end) this.#end('the job is over', 0);
    });
    bus.subscribe(subjects.allLease, leaseSchema, ({ message }) => {
      if (message.epoch < this.#epoch) return;
      if (message.replaced?.includes(incarnation)) {
        this.#stopAlone('another agent was started in the place of this one');
        return;
      }
      if (message.lost.includes(config.node)) {
        this.#stopAlone('the coordinator holds this node for lost');
        return;
      }
      if (!this.#renew()) return;
      if (message.epoch > this.#epoch || message.generation > this.#generation) void this.#greet();
    });
    bus.subscribe(subjects.clock(config.node), clockRequestSchema, ({ respond }) => {
      const { now, source } = this.#options.clock;
      respond({ v: WIRE_VERSION, at: now(), source } satisfies ClockReply);
    });
    bus.subscribe(subjects.log(config.node, '*'), logRequestSchema, (incoming) => void this.#onLog(incoming));
    bus.onConnection((connected) => {
      if (connected) void this.#greet();
    });
    this.#timers.push(setInterval(() => this.#tick(), LEASE_CHECK_MS));
    this.#beatEvery(HEARTBEAT_MS);
    void this.#greet();
  }

  /** What happened to a process goes on the bus, to stay. */
  publish(transition: Transition): void {
    const { config, outbox, log } = this.#options;
    const { spec, ...rest } = transition;
    outbox.send({
      kind: 'process.transition',
      node: config.node,
      process: spec.id,
      role: spec.role,
      logFile: spec.logFile,
      ...rest,
    });
    log.info({ process: spec.id, from: rest.from, to: rest.to, why: rest.why, pid: rest.pid }, 'transition');
  }

  /** Figures of an engine, for whoever listens. */
  publishMetrics(metrics: Pick<ProcessMetrics, 'process' | 'values'>): void {
    const { config, subjects, bus } = this.#options;
    bus.publish(subjects.processMetrics(config.node, metrics.process), {
      v: WIRE_VERSION,
      at: new Date().toISOString(),
      node: config.node,
      ...metrics,
    } satisfies ProcessMetrics);
  }

  /** Everything is gone from the node (called by the table). */
  onEmpty(): void {
    this.#beat();
    if (this.#ending) void this.#leave(this.#ending);
  }

  /** Stops all processes with their grace, then ends. */
  shutdown(why: string, exitCode: number): void {
    if (this.#leaving) return;
    this.#take({ epoch: this.#epoch, generation: this.#generation, processes: [] }, why);
    this.#end(why, exitCode);
  }

  #end(why: string, exitCode: number): void {
    if (this.#ending) return;
    this.#ending = { why, exitCode };
    if (this.#options.table.alive === 0) void this.#leave(this.#ending);
  }

  async #leave(ending: { why: string; exitCode: number }): Promise<void> {
    if (this.#leaving) return;
    this.#leaving = true;
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
    clearInterval(this.#heart);
    await this.#options.outbox.flush(2_000);
    await this.#sayGoodbye();
    this.#options.onEnd(ending.why, ending.exitCode, { leaseExpired: this.#leaseExpired });
  }

  /** Unless something else was wanted meanwhile. */
  #stopAll(message: AllDesired): void {
    if (message.generation === this.#generation) {
      const processes = this.#options.table.wanted.filter(({ role }) => message.keep?.includes(role));
      this.#take({ ...message, processes }, 'everything is to stop');
    }
    if (message.end) this.#end('the job is over', 0);
  }

  #heed({ epoch, generation }: Pick<Desired, 'epoch' | 'generation'>): void {
    this.#epoch = Math.max(this.#epoch, epoch);
    this.#generation = generation;
  }

  #take(desired: Pick<Desired, 'epoch' | 'generation' | 'processes'>, why: string): void {
    this.#heed(desired);
    this.#options.table.apply(desired.processes, desired.generation, why);
  }

  /** Ports are looked at first, those of what comes later too, as long as nothing has been started in vain. */
  async #onDesired(incoming: Incoming<Desired>): Promise<void> {
    const { message, respond } = incoming;
    const { table } = this.#options;
    if (this.#refusalOf(message) !== undefined) return this.#obey(incoming);
    if (message.look) return this.#look(incoming);
    if (!table.looksAtPorts) return this.#obey(incoming);
    this.#looked = message;
    const taken = await table.taken([...table.toStart(message.processes), ...(message.later ?? [])]);
    if (taken.length === 0) return this.#obey(incoming);
    const reason = taken.join('; ');
    respond({ v: WIRE_VERSION, accepted: false, reason, taken: true } satisfies DesiredReply);
  }

  /** Whether ports are free that a point will need: on all nodes that is asked before anything is started on one. */
  async #look({ message, respond }: Incoming<Desired>): Promise<void> {
    const { table } = this.#options;
    const taken = await table.taken(message.later ?? []);
    const answer: DesiredReply =
      taken.length > 0
        ? { v: WIRE_VERSION, accepted: false, reason: taken.join('; '), taken: true }
        : { v: WIRE_VERSION, accepted: true, generation: this.#generation, processes: table.reports() };
    respond(answer);
  }

  #obey({ message, respond }: Incoming<Desired>): void {
    const refusal = this.#refusalOf(message) ?? (this.#renew() ? undefined : 'the lease is over');
    if (refusal !== undefined) {
      respond({ v: WIRE_VERSION, accepted: false, reason: refusal } satisfies DesiredReply);
      return;
    }
    this.#take(message, 'not wanted any more');
    respond({
      v: WIRE_VERSION,
      accepted: true,
      generation: this.#generation,
      processes: this.#options.table.reports(),
    } satisfies DesiredReply);
    this.#beat();
  }

  /** Why a desired state is not taken; undefined when it is. Only the highest epoch is obeyed, and nothing older. */
  #refusalOf({ epoch, generation, processes }: Desired): string | undefined {
    if (this.#ending) return `the agent is ending: ${this.#ending.why}`;
    if (epoch < this.#epoch)
      return `epoch ${epoch} is over: the coordinator of epoch ${this.#epoch} is in charge`;
    if (epoch === this.#epoch && generation < this.#generation)
      return `generation ${generation} is older than ${this.#generation}`;
    const own = nodeOfAgent(this.#options.config.node);
    const stranger = processes.find((spec) => spec.node !== own);
    return stranger && `${stranger.id} is for node ${stranger.node}`;
  }

  /** Says hello until somebody answers; whoever is behind learns what is wanted this way. */
  async #greet(): Promise<void> {
    if (this.#greeting || this.#ending) return;
    this.#greeting = true;
    const { bus, subjects, config, incarnation, gpuHolders, log } = this.#options;
    while (!this.#ending) {
      const hello: Hello = {
        v: WIRE_VERSION,
        node: config.node,
        incarnation,
        pid: process.pid,
        address: this.#options.address,
        epoch: this.#epoch,
        generation: this.#generation,
        processes: this.#options.table.reports(),
        ...(gpuHolders.length > 0 ? { gpuHolders: [...gpuHolders] } : {}),
      };
      try {
        const reply = await bus.request(subjects.hello(config.node), hello, helloReplySchema, 2_000);
        if (!reply.welcome) {
          this.#stopAlone(`the coordinator does not want this agent: ${reply.reason}`);
          break;
        }
        const { desired, leaseMs } = reply;
        const { epoch = 0, generation = 0 } = desired ?? reply;
        // The word of a coordinator that was replaced renews nothing.
        if (epoch < this.#epoch) break;
        this.#leaseMs = leaseMs;
        if (reply.heartbeatMs !== undefined) this.#beatEvery(reply.heartbeatMs);
        if (!this.#renew()) break;
        const isLooked = epoch === this.#looked.epoch && generation === this.#looked.generation;
        const news = !isLooked && (epoch > this.#epoch || generation > this.#generation);
        if (desired && news) this.#take(desired, 'not wanted any more');
        else if (news) {
          // A coordinator that has taken over: what it wants comes when it knows what there is.
          this.#epoch = epoch;
          this.#generation = generation;
        }
        break;
      } catch (error) {
        log.debug({ error: String(error) }, 'hello was not answered');
        await sleep(HELLO_RETRY_MS);
      }
    }
    this.#greeting = false;
    this.#beat();
  }

  #tick(): void {
    this.#checkLease();
    // Immediates come after the sockets have been read, which after a freeze is later than the timers.
    const now = this.#options.now();
    setImmediate(() => {
      this.#readUpTo = now;
    });
  }

  #checkLease(): boolean {
    const silence = this.#options.now() - this.#renewedAt;
    if (silence <= this.#leaseMs) return true;
    this.#leaseExpired = true;
    this.#stopAlone(`no word of the coordinator for ${(silence / 1000).toFixed(1)} s: the lease is over`);
    return false;
  }

  /**
   * A lease that is over cannot be renewed, and a message renews it only from when it may have come: when an agent
   * that was frozen goes on, what it missed lies in its socket, and meanwhile others were told that this node is free.
   */
  #renew(): boolean {
    if (!this.#checkLease()) return false;
    this.#renewedAt = Math.max(this.#renewedAt, this.#readUpTo);
    return true;
  }

  /** Nobody answers for this agent any more: it ends its processes by itself. */
  #stopAlone(why: string): void {
    if (this.#ending) return;
    this.#options.log.error(why);
    this.shutdown(why, 75);
  }

  #beatEvery(ms: number): void {
    if (this.#heart && ms === this.#heartbeatMs) return;
    clearInterval(this.#heart);
    this.#heartbeatMs = ms;
    this.#heart = setInterval(() => {
      this.#rssBytes = process.memoryUsage.rss();
      this.#beat();
    }, ms);
  }

  #beat(): void {
    const { bus, subjects, config } = this.#options;
    bus.publish(subjects.heartbeat(config.node), this.#heartbeat(false));
  }

  /** No later heartbeat says it again, and an agent whose goodbye is lost counts as lost: so it wants an answer. */
  async #sayGoodbye(): Promise<void> {
    const { bus, subjects, config } = this.#options;
    const goodbye = this.#heartbeat(true);
    for (let attempt = 0; attempt < GOODBYES && bus.status.connected; attempt++) {
      try {
        await bus.request(subjects.heartbeat(config.node), goodbye, goodbyeReplySchema, GOODBYE_MS);
        return;
      } catch (error) {
        // After a time-out the goodbye may be lost, so it is repeated; without a subscriber repeating it is useless.
        if (!(error instanceof BusTimeout)) return;
      }
    }
  }

  #heartbeat(leaving: boolean): Heartbeat {
    const { bus, config, incarnation, table } = this.#options;
    return {
      v: WIRE_VERSION,
      node: config.node,
      incarnation,
      epoch: this.#epoch,
      generation: this.#generation,
      processes: table.reports(),
      alive: table.alive,
      rssBytes: this.#rssBytes,
      malformed: bus.status.malformed,
      leaving,
    };
  }

  async #onLog({ subject, message, respond }: Incoming<LogRequest>): Promise<void> {
    const id = fromToken(subject.split('.').at(-1) ?? '');
    const file = this.#options.table.logFileOf(id);
    if (!file) {
      respond({ v: WIRE_VERSION, ok: false, reason: `${id} does not run on this node` } satisfies LogReply);
      return;
    }
    try {
      const until = this.#options.now() + (message.waitMs ?? 0);
      let piece =
        message.offset === undefined
          ? await tailOf(file, message.lines ?? 50)
          : await pieceFrom(file, message.offset);
      while (piece.text === '' && this.#options.now() < until) {
        await sleep(200);
        piece = await pieceFrom(file, piece.offset);
      }
      const over = this.#options.table
        .reports()
        .every((report) => report.id !== id || report.exitCode !== null);
      respond({
        v: WIRE_VERSION,
        ok: true,
        text: piece.text,
        offset: piece.offset,
        file,
        over,
      } satisfies LogReply);
    } catch (error) {
      respond({ v: WIRE_VERSION, ok: false, reason: String(error) } satisfies LogReply);
    }
  }
}
