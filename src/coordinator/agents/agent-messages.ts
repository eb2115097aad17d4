import type { Logger } from 'pino';
import type { Post } from '../../machines/addresses.ts';
import type { Bus, Incoming } from '../../messages/bus/bus.ts';
import {
  cancelRequestSchema,
  type Desired,
  type GoodbyeReply,
  type Heartbeat,
  type Hello,
  type HelloReply,
  heartbeatSchema,
  helloSchema,
  leaseSchema,
} from '../../messages/events/control.ts';
import { WIRE_VERSION } from '../../messages/events/events.ts';
import type { Subjects } from '../../messages/events/subjects.ts';
import { EXIT } from '../../os/errors.ts';
import type { EpochLock } from '../takeover/epoch-lock.ts';
import type { Roster, Supervision } from './roster.ts';

export interface AgentMessagesOptions {
  readonly bus: Pick<Bus, 'subscribe'>;
  readonly subjects: Subjects;
  readonly roster: Pick<Roster, 'hello' | 'heartbeat'>;
  /**
   * `isDecided`: this coordinator has wanted something. Until then an agent of the previous run keeps its processes.
   */
  readonly fleet: { desiredOf(agent: string): Desired; readonly isDecided: boolean };
  readonly planning: { found(hello: Hello): void };
  readonly clocks: { measure(agent: string): void };
  readonly epochLock: Pick<EpochLock, 'heard' | 'agentObeys'>;
  readonly supervision: Pick<Supervision, 'leaseMs' | 'heartbeatMs'>;
  readonly post: Pick<Post, 'tell'>;
  readonly log: Pick<Logger, 'warn'>;
}

const REFUSALS = {
  late: 'the job is over',
  unknown: 'this node is not of the allocation',
  lost: 'this node is held for lost',
} as const;

/** What agents and operators send to the coordinator, and the answers. */
export class AgentMessages {
  readonly #options: AgentMessagesOptions;

  constructor(options: AgentMessagesOptions) {
    this.#options = options;
  }

  subscribe(): void {
    const { bus, subjects, epochLock } = this.#options;
    bus.subscribe(subjects.hello('*'), helloSchema, (incoming) => this.#hello(incoming));
    bus.subscribe(subjects.heartbeat('*'), heartbeatSchema, (incoming) => this.#heartbeat(incoming));
    // The server lets coordinators alone publish a lease.
    bus.subscribe(subjects.allLease, leaseSchema, ({ message }) => epochLock.heard(message.epoch));
    bus.subscribe(subjects.cancel, cancelRequestSchema, (incoming) => this.#cancel(incoming));
  }

  #hello({ message, subject, respond }: Incoming<Hello>): void {
    const { subjects, roster, fleet, planning, clocks, epochLock, supervision } = this.#options;
    // The server lets an agent use its own subject only, so the message must name the same agent.
    if (subject !== subjects.hello(message.node)) return;
    planning.found(message);
    clocks.measure(message.node);
    epochLock.agentObeys(message.epoch);
    const answer = roster.hello(message);
    if (answer !== 'welcome') {
      respond({ v: WIRE_VERSION, welcome: false, reason: REFUSALS[answer] } satisfies HelloReply);
      return;
    }
    const desired = fleet.desiredOf(message.node);
    respond({
      v: WIRE_VERSION,
      welcome: true,
      leaseMs: supervision.leaseMs,
      heartbeatMs: supervision.heartbeatMs,
      epoch: desired.epoch,
      generation: desired.generation,
      desired: message.epoch > 0 && !fleet.isDecided ? null : desired,
    } satisfies HelloReply);
  }

  #heartbeat({ message, subject, respond }: Incoming<Heartbeat>): void {
    const { subjects, roster, epochLock } = this.#options;
    if (subject !== subjects.heartbeat(message.node)) return;
    epochLock.agentObeys(message.epoch);
    roster.heartbeat(message);
    if (message.leaving) respond({ v: WIRE_VERSION, heard: true } satisfies GoodbyeReply);
  }

  #cancel({ message: { by }, respond }: Incoming<{ readonly by: string }>): void {
    respond({ v: WIRE_VERSION, accepted: true });
    this.#options.log.warn({ by }, 'cancel');
    this.#options.post.tell('sweep', {
      type: 'sweep.interrupt',
      why: `cancelled by ${by}`,
      exitCode: EXIT.terminated,
    });
  }
}
