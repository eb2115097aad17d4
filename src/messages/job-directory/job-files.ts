import * as z from 'zod';
import { epochSchema, generationSchema } from '../spec/counters.ts';
import { mpiLauncherSchema, processContainersSchema } from '../spec/launch-settings.ts';
import { pointStateSchema, sweepStateSchema } from '../spec/states.ts';
import { causeSchema, pointStatusSchema, sweepProgressSchema } from './result.ts';

/**
 * <job id>.json: the request. `apply` writes it, the coordinator reads it; `variant` and `cluster` are parsed
 * with recipe/'s schemas.
 */
export const jobSpecSchema = z.object({
  v: z.literal(1),
  jobId: z.string(),
  name: z.string(),
  mode: z.enum(['local', 'slurm']),
  mock: z.boolean(),
  /** In local mode: the port of the deployment's entry, where the user has chosen one. */
  entryPort: z.number().int().optional(),
  submittedAt: z.string(),
  tags: z.array(z.string()),
  jobDir: z.string(),
  /** Names of the allocation's nodes, the head node first; empty for a Slurm job that has not started. */
  nodes: z.array(z.string()),
  /** The Slurm job that it runs in. `own`: srtctl submitted it for this job, so it ends with it. */
  slurm: z.object({ jobId: z.string(), own: z.boolean() }).optional(),
  /** Script (absolute path) that runs once on each node before any engine. */
  setupScript: z.string().nullable(),
  /**
   * Identifies the set of points (cli/submit/result-set.ts): the same for every request of the same points.
   */
  resultSet: z.string().optional(),
  /** The recipe's `host_setup` runs. Decided by `apply`, because its commands run outside of every container. */
  hostSetup: z.boolean().optional(),
  /** The deployment is up until the job is stopped, and nothing is measured. */
  serveOnly: z.boolean().optional(),
  /** The job that this one resumes, and the points whose results it copied. */
  resumed: z
    .object({ jobId: z.string(), jobDir: z.string(), finished: z.array(z.number().int()) })
    .optional(),
  variant: z.unknown(),
  cluster: z.unknown(),
});
export type JobSpec = z.infer<typeof jobSpecSchema>;

/** connection.json (0600): how the job's owner connects to its bus. */
export const connectionSchema = z.object({
  v: z.literal(1),
  jobId: z.string(),
  url: z.string(),
  /** nkey seed of the operator: it may watch, read logs and cancel, but not command agents. */
  operatorSeed: z.string(),
  /** Certificate (PEM) of the job's authority, where the bus is encrypted. */
  ca: z.string().optional(),
});
export type Connection = z.infer<typeof connectionSchema>;

/** What agents record. */
export const telemetrySettingsSchema = z.object({
  /** From one sample to the next, ms. */
  intervalMs: z.number().int().positive(),
  /** Directory (absolute) of the samples, which all nodes see. */
  directory: z.string(),
  /** The agent also reads its node and the GPUs: one agent of each machine does. */
  machine: z.boolean(),
  /** A metric of an exporter that is a GPU's power in watts, besides DCGM's. */
  powerMetric: z.string().optional(),
  /** An exporter on the node reads the GPUs, so the agent does not. */
  hasGpuExporter: z.boolean().optional(),
  /** Exporters on the node that do not belong to the job. */
  exporters: z.array(z.object({ name: z.string(), port: z.number().int(), path: z.string() })).optional(),
});
export type TelemetrySettings = z.infer<typeof telemetrySettingsSchema>;

/** What one agent needs to join; a file with mode 0600, never argv or environment. */
export const agentConfigSchema = z.object({
  v: z.literal(1),
  jobId: z.string(),
  /** The agent's name; a node's second agent (another image) is `<node>/<group>`. */
  node: z.string(),
  /** null: the agent finds it, by `networkInterface` or by the route to the bus. */
  address: z.string().nullable(),
  networkInterface: z.string().nullish(),
  /**
   * The coordinator's Node binary, which plans contain; a node with another architecture replaces it by its
   * own.
   */
  nodeBinary: z.string().optional(),
  /** Directories in front of and after PATH. */
  path: z.object({ prepend: z.array(z.string()), append: z.array(z.string()) }).optional(),
  /** Directory that the agent creates for its processes, and removes at its end. */
  tmpDir: z.string().optional(),
  /** How commands with an image start; without it they run on the host. */
  containers: processContainersSchema.optional(),
  mpi: mpiLauncherSchema.optional(),
  /**
   * A signal does not end the agent, only what it runs, because the coordinator still needs it for the teardown of
   * `host_setup`. Slurm signals all steps of a job that is cancelled, and starts no more.
   */
  staysForTeardown: z.boolean().optional(),
  /** The agent runs commands for operators (`bus.exec`). */
  exec: z.boolean().optional(),
  /** Directory of this agent alone, for scripts to run when it is killed. */
  stopDir: z.string().optional(),
  url: z.string(),
  seed: z.string(),
  /** Certificate (PEM) of the job's authority, where the bus is encrypted. */
  ca: z.string().optional(),
  logDir: z.string(),
  /** What it records of its processes and its node; without it nothing. */
  telemetry: telemetrySettingsSchema.optional(),
  /** The job's own Slurm allocation, which the last agents end when the head node is lost. */
  allocation: z
    .object({ slurmJobId: z.string(), head: z.string(), aliveFile: z.string(), logFile: z.string() })
    .optional(),
});
export type AgentConfig = z.infer<typeof agentConfigSchema>;

/** Files with the changes since a state.json was written: `state.changes-<epoch>-<n>.jsonl`. */
export const STATE_CHANGES = /^state\.changes-[\w-]+\.jsonl$/;

/**
 * state.json: the state of the job; with the agents' own reports it is enough for another coordinator to
 * continue.
 */
export const jobStateSchema = z.object({
  v: z.literal(1),
  jobId: z.string(),
  name: z.string(),
  epoch: epochSchema,
  generation: generationSchema,
  /** Sequence number of the last message of the stream that is in events.jsonl. */
  streamSeq: z.number().int(),
  coordinatorPid: z.number().int(),
  /** Directory with the files for a takeover, and the coordinator's node that has it. */
  home: z.object({ host: z.string(), directory: z.string() }).optional(),
  updatedAt: z.string(),
  /** Copied from the job's spec. */
  resultSet: z.string().optional(),
  sweep: sweepStateSchema,
  exitCode: z.number().int().nullable(),
  points: z.array(
    z.object({
      ordinal: z.number().int(),
      name: z.string(),
      state: pointStateSchema,
      status: pointStatusSchema.nullable(),
      /** Number of attempts, when there was more than one. */
      attempts: z.number().int().optional(),
      /** Duration of its last attempt, when it is over. */
      tookMs: z.number().optional(),
      /** The point is done, and its benchmark left no figures. */
      noFigures: z.boolean().optional(),
      /** The benchmark did not finish: how many concurrencies have figures. */
      partialFigures: z.number().int().optional(),
    }),
  ),
  /** How far `host_setup` is: its commands have begun, or have ended; its teardown has ended. */
  hostSetup: z.enum(['begun', 'done', 'over']).optional(),
  /** Set for a sweep once a point is over. */
  progress: sweepProgressSchema.optional(),
  cause: causeSchema.nullable(),
  /** The file beside it with later changes; set for a running sweep of many points. */
  changes: z.string().regex(STATE_CHANGES).optional(),
});
export type JobState = z.infer<typeof jobStateSchema>;

/** A line of that file; it contains only the points that have changed. */
export const stateChangeSchema = jobStateSchema.omit({ changes: true }).partial();
export type StateChange = z.infer<typeof stateChangeSchema>;
