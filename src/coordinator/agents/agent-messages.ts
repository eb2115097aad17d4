import type { Bus } from '../../messages/bus/bus.ts';
import {
  cancelRequestSchema,
  type Desired,
  type GoodbyeReply,
  type Hello,
  type HelloReply,
  heartbeatSchema,
  helloSchema,
  leaseSchema,
} from '../../messages/events/control.ts';
import { WIRE_VERSION } from '../../messages/events/events.ts';
import type { Subjects } from '../../messages/events/subjects.ts';
import type { Roster, Supervision } from './roster.ts';

export interface ReceptionOptions {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly roster: Roster;
  readonly supervision: Supervision;
  readonly desiredOf: (agent: string) => Desired;
  /** false until this coordinator has wanted anything: an agent of its predecessor keeps what it runs. */
  readonly isDecided: () => boolean;
  /** true when the job is over, and nobody new is wanted. */
  readonly isEnding: () => boolean;
  readonly onHello: (message: Hello) => void;
  readonly onCancel: (by: string) => void;
  /** The epoch of a lease: only a coordinator can say one. */
  readonly onLease: (epoch: number) => void;
  /** The epoch that an agent says it obeys. */
  readonly onObeyed: (epoch: number) => void;
}

/** What agents and operators say to the coordinator, and what they are answered. */
export function receive(options: ReceptionOptions): void {
  const { bus, subjects, roster, supervision, desiredOf, isDecided, isEnding } = options;
  const { onHello, onCancel, onLease, onObeyed } = options;
  bus.subscribe(subjects.hello('*'), helloSchema, ({ message, subject, respond }) => {
    // The server lets an agent use its own subject only; the message must say the same name.
    if (subject !== subjects.hello(message.node)) return;
    onHello(message);
    onObeyed(message.epoch);
    const isLate = isEnding() && roster.stateOf(message.node) === 'expected';
    const answer = isLate ? 'late' : roster.hello(message);
    const refuse = (reason: string) =>
      respond({ v: WIRE_VERSION, welcome: false, reason } satisfies HelloReply);
    if (answer === 'late') return refuse('the job is over');
    if (answer === 'unknown') return refuse('this node is not of the allocation');
    if (answer === 'lost') return refuse('this node is held for lost');
    const desired = desiredOf(message.node);
    respond({
      v: WIRE_VERSION,
      welcome: true,
      leaseMs: supervision.leaseMs,
      heartbeatMs: supervision.heartbeatMs,
      epoch: desired.epoch,
      generation: desired.generation,
      desired: message.epoch > 0 && !isDecided() ? null : desired,
    } satisfies HelloReply);
  });
  bus.subscribe(subjects.heartbeat('*'), heartbeatSchema, ({ message, subject, respond }) => {
    if (subject !== subjects.heartbeat(message.node)) return;
    onObeyed(message.epoch);
    roster.heartbeat(message);
    if (message.leaving) respond({ v: WIRE_VERSION, heard: true } satisfies GoodbyeReply);
  });
  bus.subscribe(subjects.allLease, leaseSchema, ({ message }) => onLease(message.epoch));
  bus.subscribe(subjects.cancel, cancelRequestSchema, ({ message, respond }) => {
    respond({ v: WIRE_VERSION, accepted: true });
    onCancel(message.by);
  });
}
