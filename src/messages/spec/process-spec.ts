import * as z from 'zod';
import { deployPhases } from './deploy-phases.ts';
import { probeSchema } from './probe-spec.ts';

export type { JsonCount, ProbeSpec } from './probe-spec.ts';

/**
 * The role of a process in the job. Workers are prefill, decode and agg. Services that workers may use are `base`, the
 * others `service`.
 */
export const processRoleSchema = z.enum([
  'prefill',
  'decode',
  'agg',
  'frontend',
  'nginx',
  'nats',
  'etcd',
  'mooncake',
  'base',
  'service',
  'step',
  'benchmark',
]);
export type ProcessRole = z.infer<typeof processRoleSchema>;

export const endpointModeSchema = z.enum(['prefill', 'decode', 'agg']);
export type EndpointMode = z.infer<typeof endpointModeSchema>;

const port = z.number().int().min(0).max(65535);

/** TCP ports of one rank. `http` 0 marks a follower, which serves nothing. */
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
 * How an agent sees that a ready process makes progress. A live process without progress for `hungAfterMs`
 * has failed.
 */
export const progressSchema = z.discriminatedUnion('kind', [
  /**
   * An engine is hung when it has requests (any of `running` above 0) and none of its `counters` changes.
   * Prometheus' text format; a name may have a condition on a label, as in
   * `http_requests_active{endpoint=~"/v1/.*"}`.
   */
  z.object({
    kind: z.literal('metrics'),
    host: z.string(),
    port,
    path: z.string(),
    running: z.array(z.string()).min(1),
    counters: z.array(z.string()).min(1),
    /**
     * Counters that also change when tokens are computed and none is sent, as with a hung detokenizer. They count as
     * progress only until each of `sent` is above 0; from then on `counters` show all progress.
     */
    computed: z.array(z.string()).optional(),
    sent: z.array(z.string()).optional(),
    hungAfterMs: z.number().int().positive(),
  }),
  /**
   * A program is hung when none of its files (absolute paths) changes and it uses almost no CPU. `counts` is
   * a file of BenchmarkProgress: while it reports requests in flight, only their tokens count.
   */
  z.object({
    kind: z.literal('output'),
    files: z.array(z.string()).min(1),
    counts: z.string().optional(),
    hungAfterMs: z.number().int().positive(),
  }),
]);
export type ProgressSpec = z.infer<typeof progressSchema>;

/** An address of metrics. `name`: where a process has several, each with its own. */
export const metricsEndpointSchema = z.object({
  host: z.string(),
  port,
  path: z.string(),
  name: z.string().optional(),
});
export type MetricsEndpoint = z.infer<typeof metricsEndpointSchema>;

/** A text file that must exist before the process starts (nginx.conf, a load generator's config). */
export const fileSpecSchema = z.object({ path: z.string(), content: z.string() });
export type FileSpec = z.infer<typeof fileSpecSchema>;

export const deployPhaseSchema = z.enum(deployPhases);

/**
 * The order in which processes stop: clients before routers, routers before workers, and the registries last.
 * In another order each process would report that the one it uses is gone, and a worker that cannot
 * deregister would wait for its registry.
 */
export const STOP_ORDER: readonly (readonly ProcessRole[])[] = [
  ['benchmark'],
  ['service'],
  ['nginx', 'frontend'],
  ['prefill', 'decode', 'agg', 'step'],
  ['base'],
  ['nats', 'etcd', 'mooncake'],
];
/** How long one of these groups may delay the next one, ms. */
export const STOP_GROUP_MS = 10_000;

/**
 * Environment variables, by name. Not `z.record`, which drops names with a meaning in JavaScript
 * (`__proto__`).
 */
const environmentSchema = z.custom<Record<string, string>>(
  (value) =>
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every((each) => typeof each === 'string'),
  'must be a map of texts',
);

/** What follows when a process of an endpoint ends while it is wanted. The coordinator decides; agents do not. */
export const restartPolicySchema = z.object({
  /** The endpoint, whose processes start again together. */
  endpoint: z.string(),
  /** `on-failure`: not after exit code 0. */
  when: z.enum(['on-failure', 'always']),
  /** How often the endpoint may start again in the whole job. */
  most: z.number().int().nonnegative(),
  /** Time before the first restart; it doubles with each further one, up to `mostBackoffMs`. */
  backoffMs: z.number().int().nonnegative(),
  mostBackoffMs: z.number().int().nonnegative(),
});
export type RestartPolicy = z.infer<typeof restartPolicySchema>;

/**
 * Everything that an agent needs to run one OS process. same-process.ts defines when two specs describe the
 * same process.
 */
export const processSpecSchema = z.object({
  /** Unique in the job, stable from point to point: `prefill-0-0` (mode, index, rank), `frontend-0`, `etcd`. */
  id: z.string().regex(/^[a-zA-Z0-9_-]+$/),
  role: processRoleSchema,
  phase: deployPhaseSchema,
  /** Within its phase, processes with a lower number have to be ready before it starts. Default: 0. */
  order: z.number().int().nonnegative().optional(),
  node: z.string(),
  argv: z.array(z.string()).min(1),
  /** Added to the agent's own environment, and overrides it. */
  env: environmentSchema,
  /** Absolute path of the file for stdout and stderr, as the agent sees it. */
  logFile: z.string(),
  cwd: z.string().optional(),
  files: z.array(fileSpecSchema).optional(),
  /**
   * Absolute paths of directories to remove before the process starts, so that it finds no data of an earlier
   * one.
   */
  emptyDirs: z.array(z.string().startsWith('/')).optional(),
  /**
   * The command is the task of an MPI launch over `nodes` (`node` is the first one), with this many tasks in
   * all.
   */
  mpi: z.object({ tasks: z.number().int().positive(), nodes: z.array(z.string()).min(1) }).optional(),
  /** Options of srun for its container or its ranks, beside those of the recipe; for a role that has its own. */
  srunOptions: z.record(z.string(), z.string()).optional(),
  /** Device indices on the node; empty = none. */
  gpus: z.array(z.number().int().nonnegative()),
  /** Wanted processes with the same text share their GPUs: the engines of a worker with standby engines. */
  sharesGpus: z.string().optional(),
  /** It sees the node's devices, which are not its own. */
  seesGpus: z.boolean().optional(),
  /** Container image, null on a bare host. */
  image: z.string().nullable(),
  /** It runs outside of every container, also where its node's agent runs in one. */
  onHost: z.boolean().optional(),
  /** TCP ports that it listens on (without 0), for people and for checks; by name. */
  ports: z.record(z.string(), port),
  probe: probeSchema,
  /** Time from one probe to the next until it is ready. Default: short at first, and longer later. */
  probeEveryMs: z.number().int().positive().optional(),
  /** Without it, hangs are not detected. */
  progress: progressSchema.optional(),
  /** Where it serves metrics in Prometheus' format: its agent records all of them while it runs. */
  metrics: z.array(metricsEndpointSchema).optional(),
  /** Whether its end while wanted fails the point. */
  critical: z.boolean(),
  /** Whether its end before it was ready fails the point, also where it is not critical. */
  mustStart: z.boolean().optional(),
  /** true: it must exit, and exit code 0 is success (steps, benchmarks). */
  terminates: z.boolean(),
  /** It may end, once it is ready: exit code 0 is no failure. */
  mayEnd: z.boolean().optional(),
  startTimeoutMs: z.number().int().positive(),
  /**
   * A line of its log that matches this regular expression during the start shows that it never becomes
   * ready.
   */
  givesUp: z.string().optional(),
  /**
   * Regular expressions. A matching line of its log shows that the process can no longer serve although it
   * keeps running; it has failed then.
   */
  fatalLines: z.array(z.string()).optional(),
  /** The same, as the recipe has them: LinearPattern. */
  fatalPatterns: z.array(z.string()).optional(),
  /** How long a process with `terminates` may run. */
  endTimeoutMs: z.number().int().positive().optional(),
  /** Time from SIGTERM to SIGKILL. */
  graceMs: z.number().int().nonnegative(),
  /** How long probes may fail after the process was ready; then it has failed. */
  unhealthyAfterMs: z.number().int().positive(),
  /** Without it, its end is handled by `critical` alone. */
  restartPolicy: restartPolicySchema.optional(),
  /** How often its endpoint has started again before. A higher number is another process. */
  restart: z.number().int().positive().optional(),
  /**
   * Identifies processes that it cannot work without: when it changes, the process starts again with them.
   */
  restartsWith: z.string().optional(),
  /**
   * Identifies processes behind it: when it changes, the process keeps running but must become ready once
   * more.
   */
  readyAfter: z.string().optional(),
});
export type ProcessSpec = z.infer<typeof processSpecSchema>;

/** true when a process ended as it should: only one that is expected to end, or may, succeeds, and with exit code 0. */
export const hasSucceeded = (
  { terminates, mayEnd }: Pick<ProcessSpec, 'terminates' | 'mayEnd'>,
  exitCode: number | null,
): boolean => (terminates || mayEnd === true) && exitCode === 0;
