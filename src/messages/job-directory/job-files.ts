import * as z from 'zod';
import { mpiLauncherSchema, processContainersSchema } from '../spec/launch-settings.ts';
import { pointStateSchema, sweepStateSchema } from '../spec/states.ts';
import { causeSchema, pointStatusSchema, sweepProgressSchema } from './result.ts';

/** <job id>.json: what was asked. Written by `apply`, read by the coordinator; `variant` and `cluster` are read with recipe/'s schemas. */
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
  /** Names of the allocation's nodes, the head first; of a Slurm job that has not started: none. */
  nodes: z.array(z.string()),
  /** The Slurm job that it runs in. `own`: it was submitted for this, and ends with it. */
  slurm: z.object({ jobId: z.string(), own: z.boolean() }).optional(),
  /** Script (absolute path) that runs once on each node before any engine. */
  setupScript: z.string().nullable(),
  /** Which results it is about: the same for whoever asks for the same points (cli/result-set.ts). */
  resultSet: z.string().optional(),
  /** The job that this one goes on with, and the points whose results it brought along. */
  resumed: z
    .object({ jobId: z.string(), jobDir: z.string(), finished: z.array(z.number().int()) })
    .optional(),
  variant: z.unknown(),
  cluster: z.unknown(),
});
export type JobSpec = z.infer<typeof jobSpecSchema>;

/** connection.json (0600): how the user who owns the job reaches its bus. */
export const connectionSchema = z.object({
  v: z.literal(1),
  jobId: z.string(),
  url: z.string(),
  /** nkey seed of the operator: may watch, read logs and cancel; not command agents. */
  operatorSeed: z.string(),
  /** Certificate (PEM) of the job's authority, where the bus is encrypted. */
  ca: z.string().optional(),
});
export type Connection = z.infer<typeof connectionSchema>;

/** What one agent needs to join (a file with mode 0600; never argv or environment). */
export const agentConfigSchema = z.object({
  v: z.literal(1),
  jobId: z.string(),
  /** The agent's name; a node's second agent (another image) is `<node>/<group>`. */
  node: z.string(),
  /** null: the agent finds it out, by `networkInterface` or by the way to the bus. */
  address: z.string().nullable(),
  networkInterface: z.string().nullish(),
  /** The coordinator's Node binary, which plans name; where this node has another architecture its own takes the place. */
  nodeBinary: z.string().optional(),
  /** Directories before and after what PATH has. */
  path: z.object({ prepend: z.array(z.string()), append: z.array(z.string()) }).optional(),
  /** Directory that the agent makes for its processes, and removes at its end. */
  tmpDir: z.string().optional(),
  /** How commands that have an image are started; left out, they run as they are. */
  containers: processContainersSchema.optional(),
  mpi: mpiLauncherSchema.optional(),
  /** Directory of this agent alone, for what has to be run should it be killed. */
  stopDir: z.string().optional(),
  url: z.string(),
  seed: z.string(),
  /** Certificate (PEM) of the job's authority, where the bus is encrypted. */
  ca: z.string().optional(),
  logDir: z.string(),
  /** The job's own allocation in Slurm, which the last agents end when the head node is lost. */
  allocation: z
    .object({ slurmJobId: z.string(), head: z.string(), aliveFile: z.string(), logFile: z.string() })
    .optional(),
});
export type AgentConfig = z.infer<typeof agentConfigSchema>;

/** Files of what has changed since a state.json was written: `state.changes-<epoch>-<n>.jsonl`. */
export const STATE_CHANGES = /^state\.changes-[\w-]+\.jsonl$/;

/** state.json: where the job stands; enough, with the agents' own reports, to go on. */
export const jobStateSchema = z.object({
  v: z.literal(1),
  jobId: z.string(),
  name: z.string(),
  epoch: z.number().int(),
  generation: z.number().int(),
  /** Last message of the stream that is in events.jsonl. */
  streamSeq: z.number().int(),
  coordinatorPid: z.number().int(),
  /** Directory on the coordinator's node with what another one needs to take over, and that node. */
  home: z.object({ host: z.string(), directory: z.string() }).optional(),
  updatedAt: z.string(),
  /** Of the job's spec. */
  resultSet: z.string().optional(),
  sweep: sweepStateSchema,
  exitCode: z.number().int().nullable(),
  points: z.array(
    z.object({
      ordinal: z.number().int(),
      name: z.string(),
      state: pointStateSchema,
      status: pointStatusSchema.nullable(),
      /** How often it was tried, when that is more than once. */
      attempts: z.number().int().optional(),
      /** How long its last attempt took, when it is over. */
      tookMs: z.number().optional(),
      /** It is done, and its benchmark left no figures. */
      noFigures: z.boolean().optional(),
      /** Its benchmark did not come to its end: how many concurrencies have figures. */
      partialFigures: z.number().int().optional(),
    }),
  ),
  /** Of a sweep of which a point is over. */
  progress: sweepProgressSchema.optional(),
  cause: causeSchema.nullable(),
  /** The file beside it with what has changed since; of a sweep of many points that runs. */
  changes: z.string().regex(STATE_CHANGES).optional(),
});
export type JobState = z.infer<typeof jobStateSchema>;

/** A line of that file; of the points it has those that have changed. */
export const stateChangeSchema = jobStateSchema.omit({ changes: true }).partial();
export type StateChange = z.infer<typeof stateChangeSchema>;
