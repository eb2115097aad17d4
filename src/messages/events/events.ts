import * as z from 'zod';
import {
  causeSchema,
  pointResultSchema,
  sweepProgressSchema,
  workerKillSchema,
  workerRestartSchema,
} from '../job-directory/result.ts';
import { generationSchema } from '../spec/counters.ts';
import { processRoleSchema } from '../spec/process-spec.ts';
import { agentStateSchema, pointStateSchema, processStateSchema, sweepStateSchema } from '../spec/states.ts';

/** Version of the messages. Readers ignore unknown fields; an incompatible change raises the version. */
export const WIRE_VERSION = 1;
const envelope = {
  v: z.literal(WIRE_VERSION),
  /** Wall clock of the sender, ISO 8601; for people, never for deadlines. */
  at: z.string(),
  /** The incarnation of the agent or coordinator that numbered the event. */
  source: z.string(),
  /** Grows by one with each kept message of `source`; a gap shows a missing message. */
  seq: z.number().int().positive(),
};

export const processTransitionSchema = z.object({
  kind: z.literal('process.transition'),
  ...envelope,
  node: z.string(),
  process: z.string(),
  role: processRoleSchema,
  from: processStateSchema.nullable(),
  to: processStateSchema,
  why: z.string(),
  pid: z.number().int().nullable(),
  exitCode: z.number().int().nullable(),
  signal: z.string().nullable(),
  generation: generationSchema,
  logFile: z.string(),
  /**
   * Byte of the log file where this process's output starts, after that of earlier processes of the same
   * name.
   */
  logFrom: z.number().int().nonnegative().optional(),
  /** Byte of the log file at the time of the stop; later output is about the shutdown. */
  logTo: z.number().int().nonnegative().optional(),
});
export type ProcessTransition = z.infer<typeof processTransitionSchema>;

export const agentTransitionSchema = z.object({
  kind: z.literal('agent.transition'),
  ...envelope,
  node: z.string(),
  from: agentStateSchema.nullable(),
  to: agentStateSchema,
  why: z.string(),
});
export type AgentTransition = z.infer<typeof agentTransitionSchema>;

/** How far the clock of an agent's events is ahead of the coordinator's, measured by round trips. */
export const clockOffsetSchema = z.object({
  kind: z.literal('clock.offset'),
  ...envelope,
  node: z.string(),
  /** The agent's `source`. Its clock is read once, and another agent on the node has a different one. */
  of: z.string(),
  offsetMs: z.number(),
  /** Maximum error of `offsetMs` in either direction: half of the round trip. */
  errorMs: z.number().nonnegative(),
});
export type ClockOffset = z.infer<typeof clockOffsetSchema>;

export const pointTransitionSchema = z.object({
  kind: z.literal('point.transition'),
  ...envelope,
  ordinal: z.number().int(),
  name: z.string(),
  from: pointStateSchema.nullable(),
  to: pointStateSchema,
  why: z.string(),
  cause: causeSchema.nullable(),
});
export type PointTransition = z.infer<typeof pointTransitionSchema>;

export const sweepTransitionSchema = z.object({
  kind: z.literal('sweep.transition'),
  ...envelope,
  from: sweepStateSchema.nullable(),
  to: sweepStateSchema,
  why: z.string(),
  points: z.number().int(),
  exitCode: z.number().int().nullable(),
  cause: causeSchema.nullable(),
});
export type SweepTransition = z.infer<typeof sweepTransitionSchema>;

export const pointResultMessageSchema = z.object({
  kind: z.literal('point.result'),
  ...envelope,
  ordinal: z.number().int(),
  result: pointResultSchema,
});

/** A worker that ended starts again: it waits (`delayMs`), starts, and all its processes are ready. */
export const workerRestartEventSchema = z.object({
  kind: z.literal('worker.restart'),
  ...envelope,
  to: z.enum(['waiting', 'starting', 'ready']),
  /** `roles.<mode>.restart.max_restarts` */
  most: z.number().int(),
  ...workerRestartSchema.omit({ at: true, measured: true }).shape,
  /** When its end was noticed. */
  endedAt: z.string(),
});
export type WorkerRestartEvent = z.infer<typeof workerRestartEventSchema>;

/** An experiment had a worker killed. */
const workerKillEventSchema = z.object({
  kind: z.literal('worker.kill'),
  ...envelope,
  ordinal: z.number().int(),
  ...workerKillSchema.omit({ at: true }).shape,
  killedAt: z.string(),
});

/**
 * An operator runs a command on a node (`srtctl exec`). Every reader of the bus may see the event, so it has the program,
 * and not its arguments, which may hold secrets.
 */
const processExecEventSchema = z.object({
  kind: z.literal('process.exec'),
  ...envelope,
  node: z.string(),
  /** The process whose environment it has; `agent`: that of the agent. */
  process: z.string(),
  /** Tells commands apart. */
  command: z.string(),
  /** The user who asked, as the operator says. */
  by: z.string(),
  program: z.string(),
  /** The number of its arguments. */
  args: z.number().int().nonnegative(),
  to: z.enum(['started', 'ended']),
  why: z.string(),
  exitCode: z.number().int().nullable(),
  signal: z.string().nullable(),
});

/** The run goes on, or has its results, but a person should know. */
const jobWarningEventSchema = z.object({
  kind: z.literal('job.warning'),
  ...envelope,
  text: z.string(),
});

/** Sent after each point of a sweep. */
export const sweepProgressEventSchema = z.object({
  kind: z.literal('sweep.progress'),
  ...envelope,
  ...sweepProgressSchema.shape,
});

/**
 * Every kept message. A new one is one entry: the stream and events.jsonl keep it, every viewer and every reader of
 * the bus may read it, and docs/reference/bus.md describes it.
 */
const messages = [
  {
    schema: processTransitionSchema,
    by: 'agent',
    subject: 'process.{node}.{process}.transition',
    what: 'A process moved from one state to another: why, its pid, how it ended, where its log is.',
  },
  {
    schema: processExecEventSchema,
    by: 'agent',
    subject: 'process.{node}.{process}.exec',
    what: 'An operator runs a command on the node of a process: who, which program, and how it ended.',
  },
  {
    schema: agentTransitionSchema,
    by: 'coordinator',
    subject: 'agent.{node}.transition',
    what: "The coordinator's view of a node's agent changed.",
  },
  {
    schema: clockOffsetSchema,
    by: 'coordinator',
    subject: 'agent.{node}.clock-offset',
    what: "How far the clock of an agent's events is ahead of the coordinator's.",
  },
  {
    schema: pointTransitionSchema,
    by: 'coordinator',
    subject: 'point.{ordinal}.transition',
    what: 'A point of the sweep moved on; with the cause when it failed.',
  },
  {
    schema: pointResultMessageSchema,
    by: 'coordinator',
    subject: 'point.{ordinal}.result',
    what: 'A point has ended: its result.json.',
  },
  {
    schema: sweepTransitionSchema,
    by: 'coordinator',
    subject: 'sweep.transition',
    what: 'The job moved on; the last one has the exit code.',
  },
  {
    schema: workerRestartEventSchema,
    by: 'coordinator',
    subject: 'worker.{endpoint}.restart',
    what: 'A worker that ended starts again: waiting, starting, ready.',
  },
  {
    schema: workerKillEventSchema,
    by: 'coordinator',
    subject: 'worker.{endpoint}.kill',
    what: 'An experiment had a worker killed.',
  },
  {
    schema: jobWarningEventSchema,
    by: 'coordinator',
    subject: 'job.warning',
    what: 'The run goes on, but a person should know.',
  },
  {
    schema: sweepProgressEventSchema,
    by: 'coordinator',
    subject: 'sweep.progress',
    what: 'How far the sweep is, and when it is expected to end.',
  },
] as const;

const [first, ...others] = messages;

/** The events that the stream keeps and events.jsonl contains, one JSON object a line. */
export const eventSchema = z.discriminatedUnion('kind', [
  first.schema,
  ...others.map(({ schema }) => schema),
]);

export type EventKind = SrtEvent['kind'];

/** A message of the bus: its schema, the role that publishes it, and its subject after the job's own root. */
export interface MessageKind {
  readonly schema: z.ZodType;
  readonly by: 'agent' | 'coordinator';
  /** `{x}` is the field x of the message, as a token. */
  readonly subject: string;
  /** What it says, in a sentence. */
  readonly what: string;
}

/** The kept messages by their kind. */
export const keptMessages: ReadonlyMap<EventKind, MessageKind> = new Map(
  messages.map((message) => [message.schema.shape.kind.value, message]),
);

export type SrtEvent = z.infer<typeof eventSchema>;

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;
/** An event before its sender has numbered and dated it. */
export type EventBody = DistributiveOmit<SrtEvent, 'v' | 'at' | 'source' | 'seq'>;

/** All complete lines of an events.jsonl; skips lines that are not events. */
export const parseEvents = (text: string): SrtEvent[] =>
  text.split('\n').flatMap((line) => {
    try {
      const event = eventSchema.safeParse(JSON.parse(line)).data;
      return event ? [event] : [];
    } catch {
      return [];
    }
  });
