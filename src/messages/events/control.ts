import * as z from 'zod';
import { benchmarkProgressSchema } from '../job-directory/result.ts';
import { gpuHolderSchema } from '../spec/gpu-holder.ts';
import { processRoleSchema, processSpecSchema } from '../spec/process-spec.ts';
import { processStateSchema } from '../spec/states.ts';
import { WIRE_VERSION } from './events.ts';

const v = z.literal(WIRE_VERSION);
const count = z.number().int().nonnegative();

/** What an agent says of one of its processes. */
export const processReportSchema = z.object({
  id: z.string(),
  state: processStateSchema,
  pid: z.number().int().nullable(),
  generation: count,
  why: z.string(),
  exitCode: z.number().int().nullable(),
  signal: z.string().nullable(),
});
export type ProcessReport = z.infer<typeof processReportSchema>;

/** A whole desired state for one node: what is not in it is stopped. */
export const desiredSchema = z.object({
  v,
  epoch: count,
  generation: count,
  processes: z.array(processSpecSchema),
  /**
   * Ports on which processes of the same point will listen that are started later. Whether somebody else has one of them
   * is said before anything is started, and not when the engines have loaded.
   */
  later: z.array(processSpecSchema.pick({ id: true, ports: true })).optional(),
  /** Only the ports of `later` are looked at, and nothing is started or stopped: all nodes look before any of them acts. */
  look: z.literal(true).optional(),
});
export type Desired = z.infer<typeof desiredSchema>;

export const desiredReplySchema = z.discriminatedUnion('accepted', [
  z.object({ v, accepted: z.literal(true), generation: count, processes: z.array(processReportSchema) }),
  /** `taken`: it is a port that somebody else has, and `reason` says all that there is to say. */
  z.object({ v, accepted: z.literal(false), reason: z.string(), taken: z.literal(true).optional() }),
]);
export type DesiredReply = z.infer<typeof desiredReplySchema>;

/** Only ever the empty set, at the end: stop everything. With `end` the agents also end themselves. */
export const allDesiredSchema = z.object({
  v,
  epoch: count,
  generation: count,
  end: z.boolean(),
  /** What runs of these roles is to stay for now, because others use it that stop first. */
  keep: z.array(processRoleSchema).optional(),
  /**
   * Ms from the word of an agent that it heard this until it acts on it. When a thousand agents stop, what they have to
   * tell of their processes would else come before the word of some that they heard it. At once when it is missing.
   */
  afterMs: count.max(1_000).optional(),
});
export type AllDesired = z.infer<typeof allDesiredSchema>;

export const helloSchema = z.object({
  v,
  node: z.string(),
  /** Made anew by each agent process, so that a restarted agent is not mistaken for its predecessor. */
  incarnation: z.string(),
  pid: z.number().int(),
  /** Ends up in command lines and configuration of other nodes: an address, and nothing else. */
  address: z.string().regex(/^[0-9A-Za-z.:%_-]{1,255}$/),
  epoch: count,
  generation: count,
  processes: z.array(processReportSchema),
  /** What held GPUs of the node before the agent started anything, and is not of the job. */
  gpuHolders: z.array(gpuHolderSchema).optional(),
});
export type Hello = z.infer<typeof helloSchema>;

export const helloReplySchema = z.discriminatedUnion('welcome', [
  z.object({
    v,
    welcome: z.literal(true),
    leaseMs: z.number().int().positive(),
    /** From one heartbeat to the next. */
    heartbeatMs: z.number().int().positive().optional(),
    /** Of the coordinator, where `desired` does not say them. */
    epoch: count.optional(),
    generation: count.optional(),
    /** null: it has not made up its mind (it took over, and learns what runs); what runs is left alone. */
    desired: desiredSchema.nullable(),
  }),
  z.object({ v, welcome: z.literal(false), reason: z.string() }),
]);
export type HelloReply = z.infer<typeof helloReplySchema>;

export const heartbeatSchema = z.object({
  v,
  node: z.string(),
  incarnation: z.string(),
  epoch: count,
  generation: count,
  /** Processes that exist or ended in this generation. */
  processes: z.array(processReportSchema),
  /** OS processes (of any state) that the agent has not yet seen gone. 0 = nothing of the job is left on the node. */
  alive: count,
  rssBytes: count,
  /** Messages that it could not read and dropped. */
  malformed: count,
  leaving: z.boolean(),
});
export type Heartbeat = z.infer<typeof heartbeatSchema>;

/** Answers a heartbeat that says goodbye. */
export const goodbyeReplySchema = z.object({ v, heard: z.literal(true) });

export type GoodbyeReply = z.infer<typeof goodbyeReplySchema>;

export const leaseSchema = z.object({
  v,
  epoch: count,
  generation: count,
  /** Nodes held for lost: an agent that finds itself here stops by itself. */
  lost: z.array(z.string()),
  /** Incarnations of agents in whose place others were started: they stop by themselves, too. */
  replaced: z.array(z.string()).optional(),
});
export type Lease = z.infer<typeof leaseSchema>;

/** The coordinator asks for an agent's clock. */
export const clockRequestSchema = z.object({ v });

export const clockReplySchema = z.object({
  v,
  /** The clock by which the agent dates its events, ms since 1970. */
  at: z.number(),
  /** The source of those events. */
  source: z.string().max(1_000),
});
export type ClockReply = z.infer<typeof clockReplySchema>;

/** A piece of a process's log: its last `lines`, or what follows byte `offset`; waits up to `waitMs` for more. */
export const logRequestSchema = z.object({
  v,
  lines: count.max(10_000).optional(),
  offset: count.optional(),
  waitMs: count.max(10_000).optional(),
});
export type LogRequest = z.infer<typeof logRequestSchema>;

export const logReplySchema = z.discriminatedUnion('ok', [
  z.object({ v, ok: z.literal(true), text: z.string(), offset: count, file: z.string(), over: z.boolean() }),
  z.object({ v, ok: z.literal(false), reason: z.string() }),
]);
export type LogReply = z.infer<typeof logReplySchema>;

export const progressMessageSchema = z.object({
  v,
  at: z.string(),
  ordinal: count,
  progress: benchmarkProgressSchema,
});
export type ProgressMessage = z.infer<typeof progressMessageSchema>;

export const cancelRequestSchema = z.object({ v, by: z.string() });
export const cancelReplySchema = z.object({ v, accepted: z.literal(true) });
