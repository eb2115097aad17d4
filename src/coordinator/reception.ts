import type { Bus } from '../messages/bus.ts';
import {
  cancelRequestSchema,
  type Desired,
  type Hello,
  type HelloReply,
  heartbeatSchema,
  helloSchema,
} from '../messages/control.ts';
import { WIRE_VERSION } from '../messages/events.ts';
import type { Subjects } from '../messages/subjects.ts';
import type { Roster, Supervision } from './roster.ts';

export interface ReceptionOptions {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly roster: Roster;
  readonly supervision: Supervision;
  readonly desiredOf: (agent: string) => Desired;
  /** true when the job is over, and nobody new is wanted. */
  readonly isEnding: () => boolean;
  readonly onHello: (message: Hello) => void;
  readonly onCancel: (by: string) => void;
}

/** What agents and operators say to the coordinator, and what they are answered. */
export function receive(options: ReceptionOptions): void {
  const { bus, subjects, roster, supervision, desiredOf, isEnding, onHello, onCancel } = options;
  bus.subscribe(subjects.hello('*'), helloSchema, ({ message, subject, respond }) => {
    // The server lets an agent use its own subject only; the message must say the same name.
    if (subject !== subjects.hello(message.node)) return;
    onHello(message);
    const isLate = isEnding() && roster.stateOf(message.node) === 'expected';
    const answer = isLate ? 'late' : roster.hello(message);
    const refuse = (reason: string) =>
      respond({ v: WIRE_VERSION, welcome: false, reason } satisfies HelloReply);
    if (answer === 'late') return refuse('the job is over');
    if (answer === 'unknown') return refuse('this node is not of the allocation');
    if (answer === 'lost') return refuse('this node is held for lost');
    respond({
      v: WIRE_VERSION,
      welcome: true,
      leaseMs: supervision.leaseMs,
      desired: desiredOf(message.node),
    } satisfies HelloReply);
  });
  bus.subscribe(subjects.heartbeat('*'), heartbeatSchema, ({ message, subject }) => {
    if (subject === subjects.heartbeat(message.node)) roster.heartbeat(message);
  });
  bus.subscribe(subjects.cancel, cancelRequestSchema, ({ message, respond }) => {
    respond({ v: WIRE_VERSION, accepted: true });
    onCancel(message.by);
  });
}
