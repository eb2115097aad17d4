import * as z from 'zod';
import { benchmarkProgressSchema } from '../job-directory/result.ts';
import { epochSchema, generationSchema } from '../spec/counters.ts';
import { gpuHolderSchema } from '../spec/gpu-holder.ts';
import { processRoleSchema, processSpecSchema } from '../spec/process-spec.ts';
import { KILL_SIGNALS, processStateSchema } from '../spec/states.ts';
import { WIRE_VERSION } from './events.ts';

const v = z.literal(WIRE_VERSION);
const count = z.number().int().nonnegative();

/** An agent's report on one of its processes. */
export const processReportSchema = z.object({
  id: z.string(),
  state: processStateSchema,
  pid: z.number().int().nullable(),
  generation: generationSchema,
  why: z.string(),
  exitCode: z.number().int().nullable(),
  signal: z.string().nullable(),
  /** Its agent stopped it, because it had failed (hung, unhealthy, a fatal line in its log). */
  stopped: z.literal(true).optional(),
  /** `restart` of its spec. */
  restart: z.number().int().positive().optional(),
});
export type ProcessReport = z.infer<typeof processReportSchema>;

/** The complete desired state of one node: the agent stops every process that is not in it. */
export const desiredSchema = z.object({
  v,
  epoch: epochSchema,
  generation: generationSchema,
  processes: z.array(processSpecSchema),
  /**
   * Ports of processes of the same point that start later. The agent reports a port in use before anything
   * starts, and not after the engines have loaded.
   */
  later: z.array(processSpecSchema.pick({ id: true, ports: true })).optional(),
  /**
   * The agent only checks the ports of `later`, and starts or stops nothing: all nodes are checked before any
   * of them acts.
   */
  look: z.literal(true).optional(),
});
export type Desired = z.infer<typeof desiredSchema>;

export const desiredReplySchema = z.discriminatedUnion('accepted', [
  z.object({
    v,
    accepted: z.literal(true),
    generation: generationSchema,
    processes: z.array(processReportSchema),
  }),
  /** `taken`: another program has the port, and `reason` is complete. */
  z.object({ v, accepted: z.literal(false), reason: z.string(), taken: z.literal(true).optional() }),
]);
export type DesiredReply = z.infer<typeof desiredReplySchema>;

/** Only ever the empty set, at the end: stop everything. With `end` the agents end, too. */
export const allDesiredSchema = z.object({
  v,
  epoch: epochSchema,
  generation: generationSchema,
  end: z.boolean(),
  /** Processes of these roles stay for now, because the processes that use them stop first. */
  keep: z.array(processRoleSchema).optional(),
  /**
   * How long after its acknowledgement an agent acts, ms. When a thousand agents stop, the transitions of the
   * first ones would otherwise delay the acknowledgements of the others. Without it the agent acts at once.
   */
  afterMs: count.max(1_000).optional(),
});
export type AllDesired = z.infer<typeof allDesiredSchema>;

export const helloSchema = z.object({
  v,
  node: z.string(),
  /** New for each agent process, so that a restarted agent is not mistaken for its predecessor. */
  incarnation: z.string(),
  pid: z.number().int(),
  /** It is used in command lines and configuration of other nodes, so it must be an address. */
  address: z.string().regex(/^[0-9A-Za-z.:%_-]{1,255}$/),
  epoch: epochSchema,
  generation: generationSchema,
  processes: z.array(processReportSchema),
  /** Processes outside of the job that held GPUs of the node before the agent started anything. */
  gpuHolders: z.array(gpuHolderSchema).optional(),
});
export type Hello = z.infer<typeof helloSchema>;

export const helloReplySchema = z.discriminatedUnion('welcome', [
  z.object({
    v,
    welcome: z.literal(true),
    leaseMs: z.number().int().positive(),
    /** Time from one heartbeat to the next. */
    heartbeatMs: z.number().int().positive().optional(),
    /** The coordinator's epoch and generation, when `desired` is null. */
    epoch: epochSchema.optional(),
    generation: generationSchema.optional(),
    /**
     * null: undecided, because the coordinator has just taken over and first learns what runs; agents keep
     * what runs.
     */
    desired: desiredSchema.nullable(),
  }),
  z.object({ v, welcome: z.literal(false), reason: z.string() }),
]);
export type HelloReply = z.infer<typeof helloReplySchema>;

export const heartbeatSchema = z.object({
  v,
  node: z.string(),
  incarnation: z.string(),
  epoch: epochSchema,
  generation: generationSchema,
  /** Processes that exist or ended in this generation. */
  processes: z.array(processReportSchema),
  /**
   * OS processes (of any state) that the agent has not yet seen gone. 0 = no process of the job is left on
   * the node.
   */
  alive: count,
  rssBytes: count,
  /** Messages that it dropped because it could not parse them. */
  malformed: count,
  leaving: z.boolean(),
});
export type Heartbeat = z.infer<typeof heartbeatSchema>;

/** The answer to a last heartbeat (goodbye). */
export const goodbyeReplySchema = z.object({ v, heard: z.literal(true) });

export type GoodbyeReply = z.infer<typeof goodbyeReplySchema>;

export const leaseSchema = z.object({
  v,
  epoch: epochSchema,
  generation: generationSchema,
  /** Lost nodes: an agent that finds its node here stops by itself. */
  lost: z.array(z.string()),
  /** Incarnations of replaced agents: they stop by themselves, too. */
  replaced: z.array(z.string()).optional(),
});
export type Lease = z.infer<typeof leaseSchema>;

/** The coordinator has an agent send a signal to a process of an experiment. */
export const killRequestSchema = z.object({
  v,
  process: z.string(),
  /** The signal is sent only when the process still has this pid, so a repeated request does no harm. */
  pid: z.number().int().positive(),
  signal: z.enum(KILL_SIGNALS),
});
export type KillRequest = z.infer<typeof killRequestSchema>;
export const killReplySchema = z.object({ v, done: z.boolean() });
export type KillReply = z.infer<typeof killReplySchema>;

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

/**
 * Requests a piece of a process's log: its last `lines`, or the text after byte `offset`; waits up to
 * `waitMs` for more. `command`: how it is started, in place of its log.
 */
export const logRequestSchema = z.object({
  v,
  lines: count.max(10_000).optional(),
  offset: count.optional(),
  waitMs: count.max(10_000).optional(),
  command: z.literal(true).optional(),
});
export type LogRequest = z.infer<typeof logRequestSchema>;

export const logReplySchema = z.discriminatedUnion('ok', [
  z.object({ v, ok: z.literal(true), text: z.string(), offset: count, file: z.string(), over: z.boolean() }),
  z.object({ v, ok: z.literal(false), reason: z.string() }),
]);
export type LogReply = z.infer<typeof logReplySchema>;

/** The answer to a request for the command. An agent of an older release answers with the log. */
export const commandReplySchema = z.discriminatedUnion('ok', [
  z.object({
    v,
    ok: z.literal(true),
    argv: z.array(z.string()),
    cwd: z.string().nullable(),
    /** Its own variables; values of passwords and keys are `(hidden)`. */
    env: z.record(z.string(), z.string()),
    gpus: z.array(count),
  }),
  z.object({ v, ok: z.literal(false), reason: z.string() }),
]);
export type CommandReply = z.infer<typeof commandReplySchema>;

export const progressMessageSchema = z.object({
  v,
  at: z.string(),
  ordinal: count,
  progress: benchmarkProgressSchema,
});
export type ProgressMessage = z.infer<typeof progressMessageSchema>;

export const cancelRequestSchema = z.object({ v, by: z.string() });
export const cancelReplySchema = z.object({ v, accepted: z.literal(true) });
