import { setTimeout as sleep } from 'node:timers/promises';
import type { Incoming } from '../messages/bus/bus.ts';
import {
  type AllDesired,
  allDesiredSchema,
  type ClockReply,
  clockRequestSchema,
  type Desired,
  type DesiredReply,
  desiredSchema,
  type Heartbeat,
  type Hello,
  helloReplySchema,
  type KillReply,
  killRequestSchema,
  leaseSchema,
  logRequestSchema,
} from '../messages/events/control.ts';
import { WIRE_VERSION } from '../messages/events/events.ts';
import { execRequestSchema } from '../messages/events/exec.ts';
import type { Epoch, Generation } from '../messages/spec/counters.ts';
import { EXIT } from '../os/errors.ts';
import { Lease } from './lease.ts';
import { answerLogRequest } from './log-requests.ts';
import type { Transition } from './processes/entry.ts';
import { type AgentOptions, heartbeatOf, publishTransition, sayGoodbye } from './reporting.ts';

const HEARTBEAT_MS = 1_000;
const LEASE_CHECK_MS = 250;
const HELLO_RETRY_MS = 100;
/** How long a new agent repeats its hello without an answer. */
const UNWELCOME_MS = 60_000;

/** The first agent on a node has the node's name; a second one is named `<node>/<group>`. */
const nodeOfAgent = (name: string): string => name.split('/')[0] ?? name;

/** How long a signalled agent leaves its processes to the coordinator, ms. */
const COORDINATOR_FIRST_MS = 2_000;

/**
 * The actor on one node. Receives desired state, reports the actual state, and stops everything when its lease expires.
 */
export class NodeAgent {
  readonly #options: AgentOptions;
  #epoch: Epoch = 0;
  #generation: Generation = 0;
  /** The last desired state whose ports were, or are being, checked; only that state may be applied. */
  #looked: Pick<Desired, 'epoch' | 'generation'> = { epoch: 0, generation: 0 };
  readonly #lease: Lease;
  #greeting = false;
  #ending: { why: string; exitCode: number } | undefined;
  #leaving = false;
  #heartbeatMs = HEARTBEAT_MS;
  readonly #timers: NodeJS.Timeout[] = [];
  #heart: NodeJS.Timeout | undefined;
  /** Memory of the agent at its last regular heartbeat. Heartbeats in between repeat it, and do not wait for the kernel. */
  #rssBytes = process.memoryUsage.rss();

  constructor(options: AgentOptions) {
    this.#options = options;
    this.#lease = new Lease(options.now, UNWELCOME_MS);
  }

  start(): void {
    const { bus, subjects, config, incarnation } = this.#options;
    bus.subscribe(subjects.desired(config.node), desiredSchema, (incoming) => void this.#onDesired(incoming));
    bus.subscribe(subjects.allDesired, allDesiredSchema, ({ message }) => {
      if (message.epoch < this.#epoch || message.generation < this.#generation) return;
      // An agent that missed the first broadcast may have learned the generation by saying hello.
      if (message.generation > this.#generation) {
        this.#heed(message);
        this.#beat();
        // Without running processes there are no transitions to report first.
        const waitMs = this.#options.table.alive === 0 ? 0 : (message.afterMs ?? 0);
        setTimeout(() => this.#stopAll(message), waitMs);
      } else if (message.end) this.#end('the job is over', 0);
    });
    bus.subscribe(subjects.allLease, leaseSchema, ({ message }) => {
      if (message.epoch < this.#epoch) return;
      if (message.replaced?.includes(incarnation)) {
        this.#stopAlone('another agent has replaced this one');
        return;
      }
      if (message.lost.includes(config.node)) {
        this.#stopAlone('the coordinator counts this node as lost');
        return;
      }
      if (!this.#renew()) return;
      if (message.epoch > this.#epoch || message.generation > this.#generation) void this.#greet();
    });
    bus.subscribe(subjects.clock(config.node), clockRequestSchema, ({ respond }) => {
      const { now, source } = this.#options.clock;
      respond({ v: WIRE_VERSION, at: now(), source } satisfies ClockReply);
    });
    bus.subscribe(subjects.kill(config.node), killRequestSchema, ({ message, respond }) => {
      const done = this.#options.table.signal(message.process, message.pid, `SIG${message.signal}`);
      respond({ v: WIRE_VERSION, done } satisfies KillReply);
    });
    bus.subscribe(
      subjects.log(config.node, '*'),
      logRequestSchema,
      (incoming) => void answerLogRequest(this.#options, incoming),
    );
    const { exec } = this.#options;
    if (exec)
      bus.subscribe(subjects.exec(config.node), execRequestSchema, (incoming) => void exec.answer(incoming));
    bus.onConnection((connected) => {
      if (connected) void this.#greet();
    });
    this.#timers.push(setInterval(() => this.#tick(), LEASE_CHECK_MS));
    this.#beatEvery(HEARTBEAT_MS);
    void this.#greet();
  }

  publish(transition: Transition): void {
    publishTransition(this.#options, transition);
  }

  /** The table calls this when no process is left on the node. */
  onEmpty(): void {
    this.#beat();
    if (this.#ending) void this.#leave(this.#ending);
  }

  /** Stops all processes with their grace, then ends. */
  shutdown(why: string, exitCode: number): void {
    if (this.#leaving) return;
    this.#stop(why);
    this.#end(why, exitCode);
  }

  /**
   * The same at a signal, unless the coordinator still needs the agent. Slurm signals all steps of a cancelled job, and the
   * coordinator, at one moment; the coordinator stops the processes in good order, and knows why.
   */
  signalled(why: string): void {
    const stop = (): void => {
      if (this.#options.config.staysForTeardown !== true) this.shutdown(why, 0);
      else if (!this.#leaving) this.#stop(why);
    };
    if (this.#options.table.alive === 0) stop();
    else this.#timers.push(setTimeout(stop, COORDINATOR_FIRST_MS));
  }

  #stop(why: string): void {
    this.#take({ epoch: this.#epoch, generation: this.#generation, processes: [] }, why);
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
    await this.#options.exec?.endAll();
    await Promise.all([this.#options.outbox.flush(2_000), this.#options.telemetry?.end()]);
    await sayGoodbye(this.#options, this.#heartbeat(true));
    this.#options.onEnd(ending.why, ending.exitCode, { leaseExpired: this.#lease.hasExpired });
  }

  /** Skipped when a newer desired state has arrived in the meantime. */
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

  /** Checks the ports first, including those of later processes, so that no process is started in vain. */
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

  /** Checks the ports of a point. The coordinator asks all nodes before it starts a process on any of them. */
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
    const refusal = this.#refusalOf(message) ?? (this.#renew() ? undefined : 'the lease has expired');
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

  /**
   * Why a desired state is refused; undefined when it is accepted. The agent obeys only the highest epoch, and no older
   * generation.
   */
  #refusalOf({ epoch, generation, processes }: Desired): string | undefined {
    if (this.#ending) return `the agent is ending: ${this.#ending.why}`;
    if (epoch < this.#epoch)
      return `epoch ${epoch} is outdated: the coordinator of epoch ${this.#epoch} is in charge`;
    if (epoch === this.#epoch && generation < this.#generation)
      return `generation ${generation} is older than ${this.#generation}`;
    const own = nodeOfAgent(this.#options.config.node);
    const stranger = processes.find((spec) => spec.node !== own);
    return stranger && `${stranger.id} is for node ${stranger.node}`;
  }

  /** Says hello until it gets an answer, which has the desired state. */
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
        // A message of a replaced coordinator does not renew the lease.
        if (epoch < this.#epoch) break;
        this.#lease.ms = leaseMs;
        if (reply.heartbeatMs !== undefined) this.#beatEvery(reply.heartbeatMs);
        if (!this.#renew()) break;
        const isLooked = epoch === this.#looked.epoch && generation === this.#looked.generation;
        const news = !isLooked && (epoch > this.#epoch || generation > this.#generation);
        if (desired && news) this.#take(desired, 'not wanted any more');
        else if (news) {
          // A new coordinator sends its desired state when it knows what runs.
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
    this.#lease.noteRead();
  }

  #checkLease(): boolean {
    const silenceMs = this.#lease.expiredAfter();
    if (silenceMs === undefined) return true;
    this.#stopAlone(
      `no word from the coordinator for ${(silenceMs / 1000).toFixed(1)} s: the lease has expired`,
    );
    return false;
  }

  #renew(): boolean {
    if (!this.#checkLease()) return false;
    this.#lease.renew();
    return true;
  }

  /** Without a valid lease the agent ends its processes without being asked. */
  #stopAlone(why: string): void {
    if (this.#ending) return;
    this.#options.log.error(why);
    this.shutdown(why, EXIT.fenced);
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

  #heartbeat(leaving: boolean): Heartbeat {
    const [epoch, generation, rssBytes] = [this.#epoch, this.#generation, this.#rssBytes];
    return heartbeatOf(this.#options, { epoch, generation, rssBytes, leaving });
  }

  #beat(): void {
    const { bus, subjects, config } = this.#options;
    bus.publish(subjects.heartbeat(config.node), this.#heartbeat(false));
  }
}
