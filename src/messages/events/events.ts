import * as z from 'zod';
import { causeSchema, pointResultSchema, sweepProgressSchema } from '../job-directory/result.ts';
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
  generation: z.number().int(),
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

/** Sent after each point of a sweep. */
export const sweepProgressEventSchema = z.object({
  kind: z.literal('sweep.progress'),
  ...envelope,
  ...sweepProgressSchema.shape,
});

/**
 * Every kept message: its schema, the role that may publish it, and its subject (`{x}` is its field x). A new message
 * is one entry: the stream and events.jsonl keep it, and every viewer may read it.
 */
const messages = [
  { schema: processTransitionSchema, by: 'agent', subject: 'process.{node}.{process}.transition' },
  { schema: agentTransitionSchema, by: 'coordinator', subject: 'agent.{node}.transition' },
  { schema: clockOffsetSchema, by: 'coordinator', subject: 'agent.{node}.clock-offset' },
  { schema: pointTransitionSchema, by: 'coordinator', subject: 'point.{ordinal}.transition' },
  { schema: pointResultMessageSchema, by: 'coordinator', subject: 'point.{ordinal}.result' },
  { schema: sweepTransitionSchema, by: 'coordinator', subject: 'sweep.transition' },
  { schema: sweepProgressEventSchema, by: 'coordinator', subject: 'sweep.progress' },
] as const;

const [first, ...others] = messages;

/** The events that the stream keeps and events.jsonl contains, one JSON object a line. */
export const eventSchema = z.discriminatedUnion('kind', [
  first.schema,
  ...others.map(({ schema }) => schema),
]);

export type EventKind = SrtEvent['kind'];

/** The role that publishes each kept message, and the pattern of its subject after the job's own root. */
export const keptMessages: ReadonlyMap<
  EventKind,
  { readonly by: 'agent' | 'coordinator'; readonly subject: string }
> = new Map(messages.map(({ schema, by, subject }) => [schema.shape.kind.value, { by, subject }]));

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
