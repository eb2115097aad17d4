import * as z from 'zod';
import { probeSchema } from './probe-spec.ts';

export type { JsonCount, ProbeSpec } from './probe-spec.ts';

/** What a process is in the job. Workers are prefill, decode and agg. */
export const processRoleSchema = z.enum([
  'prefill',
  'decode',
  'agg',
  'frontend',
  'nginx',
  'etcd',
  'mooncake',
  'step',
  'benchmark',
]);
export type ProcessRole = z.infer<typeof processRoleSchema>;

export const endpointModeSchema = z.enum(['prefill', 'decode', 'agg']);
export type EndpointMode = z.infer<typeof endpointModeSchema>;

const port = z.number().int().min(0).max(65535);

/** TCP ports of one rank. `http` 0 marks a follower: it serves nothing. */
export const processPortsSchema = z.object({
  http: port,
  bootstrap: port.nullable(),
  kvEvents: port.nullable(),
  nixl: port.nullable(),
  system: port,
  /** Where a Dynamo worker takes requests. */
  requests: port,
});
export type ProcessPorts = z.infer<typeof processPortsSchema>;

/**
 * How an agent sees that a process which is ready gets on with its work. What is alive and stands still for
 * `hungAfterMs` has failed.
 */
export const progressSchema = z.discriminatedUnion('kind', [
  /**
   * An engine with requests (any of `running` above 0), of whose `counters` none changes. Prometheus' text format; a
   * name may have a condition on a label, as in `http_requests_active{endpoint=~"/v1/.*"}`.
   */
  z.object({
    kind: z.literal('metrics'),
    host: z.string(),
    port,
    path: z.string(),
    running: z.array(z.string()).min(1),
    counters: z.array(z.string()).min(1),
    hungAfterMs: z.number().int().positive(),
  }),
  /**
   * A program of whose files (absolute paths) none changes, and that computes next to nothing. `counts` is a file of
   * BenchmarkProgress: while it tells of requests in flight, their tokens count and nothing else does.
   */
  z.object({
    kind: z.literal('output'),
    files: z.array(z.string()).min(1),
    counts: z.string().optional(),
    hungAfterMs: z.number().int().positive(),
  }),
]);
export type ProgressSpec = z.infer<typeof progressSchema>;

/** A text file that must exist before the process starts (nginx.conf, a load generator's config). */
export const fileSpecSchema = z.object({ path: z.string(), content: z.string() });
export type FileSpec = z.infer<typeof fileSpecSchema>;

/**
 * When a process is started in the deployment of a point, lowest first. Processes of a phase start together;
 * the next phase starts when all of this one are ready (a step: has ended with 0).
 */
export const deployPhases = [
  'infra',
  'fetch',
  'step',
  'install',
  'worker',
  'frontend',
  'proxy',
  'benchmark',
] as const;
export const deployPhaseSchema = z.enum(deployPhases);
export type DeployPhase = z.infer<typeof deployPhaseSchema>;

/**
 * The order in which processes are stopped. Clients stop before routers, these before workers, and last what workers are
 * registered with: in another order each reports that the one it uses is gone, and a worker that cannot deregister waits
 * for it.
 */
export const STOP_ORDER: readonly (readonly ProcessRole[])[] = [
  ['benchmark'],
  ['nginx', 'frontend'],
  ['prefill', 'decode', 'agg', 'step'],
  ['etcd', 'mooncake'],
];
/** How long one of these groups may keep the next waiting, ms. */
export const STOP_GROUP_MS = 10_000;

/**
 * Environment variables, by name. Not `z.record`, which leaves out a name that JavaScript has a use for (`__proto__`).
 */
const environmentSchema = z.custom<Record<string, string>>(
  (value) =>
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every((each) => typeof each === 'string'),
  'must be a map of texts',
);

/** Everything that an agent needs to run one OS process. When two are the same process says same-process.ts. */
export const processSpecSchema = z.object({
  /** Unique in the job, stable from point to point: `prefill-0-0` (mode, index, rank), `frontend-0`, `etcd`. */
  id: z.string().regex(/^[a-zA-Z0-9_-]+$/),
  role: processRoleSchema,
  phase: deployPhaseSchema,
  node: z.string(),
  argv: z.array(z.string()).min(1),
  /** Added to (and over) the agent's own environment. */
  env: environmentSchema,
  /** Absolute path of the file that takes stdout and stderr, as the agent sees it. */
  logFile: z.string(),
  cwd: z.string().optional(),
  files: z.array(fileSpecSchema).optional(),
  /** Absolute paths of directories that are removed before the process starts: it must not find what an earlier one left. */
  emptyDirs: z.array(z.string().startsWith('/')).optional(),
  /** The command is the task of an MPI launch over `nodes` (of which `node` is the first), so many tasks in all. */
  mpi: z.object({ tasks: z.number().int().positive(), nodes: z.array(z.string()).min(1) }).optional(),
  /** Device indices on the node; empty = none. */
  gpus: z.array(z.number().int().nonnegative()),
  /** Container image, null on a bare host. */
  image: z.string().nullable(),
  /** TCP ports that it listens on (0 left out), for people and for checks; by name. */
  ports: z.record(z.string(), port),
  probe: probeSchema,
  /** Without it nobody watches whether it gets on. */
  progress: progressSchema.optional(),
  /** Its end while wanted fails the point. */
  critical: z.boolean(),
  /** true: expected to end, exit code 0 is success (steps, benchmarks). */
  terminates: z.boolean(),
  startTimeoutMs: z.number().int().positive(),
  /** A line of its log that matches this regular expression while it starts says that it never becomes ready. */
  givesUp: z.string().optional(),
  /**
   * Regular expressions. A line of its log that matches one says that the process is of no use any more, though it goes on
   * running; it has failed then.
   */
  fatalLines: z.array(z.string()).optional(),
  /** How long a process that is expected to end may run. */
  endTimeoutMs: z.number().int().positive().optional(),
  /** From SIGTERM to SIGKILL. */
  graceMs: z.number().int().nonnegative(),
  /** How long probes may fail after it was ready before it counts as failed. */
  unhealthyAfterMs: z.number().int().positive(),
  /** Stands for processes without which it is of no use: when they change it is started again with them. */
  restartsWith: z.string().optional(),
  /** Stands for processes behind it: when they change it is kept, and has to become ready once more. */
  readyAfter: z.string().optional(),
});
export type ProcessSpec = z.infer<typeof processSpecSchema>;
