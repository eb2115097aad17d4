import * as z from 'zod';
import { patternSchema } from '../values/pattern.ts';
import { directivesSchema, envSchema, positiveSchema } from '../values/values.ts';

export const placementNodes = [
  'head',
  'infra',
  'dedicated',
  'prefill',
  'decode',
  'agg',
  'workers',
  'compute',
  'all',
] as const;
export type PlacementNode = (typeof placementNodes)[number];

export const serviceStarts = ['infra', 'before_workers', 'with_workers', 'after_frontend'] as const;
export type ServiceStart = (typeof serviceStarts)[number];

/** What the schema has to know of a kind of service; each kind is described in services/. */
export interface ServiceFacts {
  /** `type` of a service in a recipe. */
  readonly type: string;
  /** A description for the reference of recipes. */
  readonly summary: string;
  /** `options` of such a service. */
  readonly options: z.ZodObject;
  /** false: the recipe has to give its command. */
  readonly hasCommand: boolean;
  readonly placement: PlacementNode;
  /** An instance for each worker. */
  readonly perWorker?: boolean;
  readonly start: ServiceStart;
  /** Whether its end fails the point. */
  readonly critical: boolean;
  /** It may have a node of its own with etcd and NATS, and it may be one that runs already (`external`). */
  readonly isInfra?: boolean;
  /** Types of other services without which it does nothing. */
  readonly needs?: readonly string[];
  /** Key of `backend` without which it does nothing. */
  readonly needsSetting?: 'failover';
  /** Engines whose workers it is for; default: any. */
  readonly engines?: readonly string[];
  /** Placements that it works with; default: any. */
  readonly placements?: readonly PlacementNode[];
}

const portSchema = z.number().int().min(1).max(65_535);
const pathSchema = z.string().startsWith('/', 'must begin with "/"');
const filled = z.string().refine((value) => value.trim() !== '', 'is empty');
const words = z.array(filled);

const readinessSchema = z
  .strictObject({
    port: portSchema.nullish().describe('ready when the port accepts a connection; the same as tcp.port'),
    tcp: z
      .strictObject({ port: portSchema.describe('TCP port on the node') })
      .nullish()
      .describe('ready when the port accepts a connection'),
    http: z
      .strictObject({
        port: portSchema.describe('TCP port on the node'),
        path: pathSchema.default('/health').describe('path of a GET request'),
        status: z.number().int().min(100).max(599).default(200).describe('status of the answer'),
      })
      .nullish()
      .describe('ready when a request is answered with a status'),
    log: z
      .strictObject({
        pattern: patternSchema.describe('regular expression, without look-around and back-references'),
      })
      .nullish()
      .describe('ready when a line of its log matches'),
    file: z
      .strictObject({
        path: filled.describe('absolute, or below the directory of logs; may have placeholders'),
      })
      .nullish()
      .describe('ready when a file exists that is not empty'),
    timeout_seconds: positiveSchema
      .default(120)
      .describe('seconds after which a service that is not ready fails the run'),
    interval_seconds: positiveSchema
      .nullish()
      .describe(
        'seconds from one check to the next; by default a quarter of a second at first, and longer later',
      ),
  })
  .superRefine((readiness, context) => {
    const named = (['port', 'tcp', 'http', 'log', 'file'] as const).filter(
      (probe) => readiness[probe] != null,
    );
    if (named.length !== 1)
      context.addIssue({
        code: 'custom',
        message:
          named.length === 0
            ? 'names no check: port, tcp, http, log or file'
            : `names ${named.join(' and ')}, but a service has one check`,
      });
  });

const placementSchema = z
  .strictObject({
    node: z
      .enum(placementNodes)
      .nullish()
      .describe(
        "head, infra: one node; dedicated: a node for etcd, NATS and Mooncake's master alone; prefill, decode, agg: the nodes of these workers; workers: those of all workers; compute: these and all pools; all: every node",
      ),
    pool: filled.nullish().describe('name of a service with nodes: an instance on each of its nodes'),
    per: z
      .enum(['node', 'worker'])
      .nullish()
      .describe('an instance on each node, or beside each worker, with the GPUs of that worker'),
  })
  .superRefine((placement, context) => {
    const refuse = (path: string, message: string) =>
      context.addIssue({ code: 'custom', path: [path], message });
    // The reference writes `node: head` where a recipe leaves the key out, so this pair says nothing about a node.
    if (placement.pool != null && placement.node != null && placement.node !== 'head')
      refuse('node', 'is given beside pool: the pool says where it runs');
    if (placement.pool != null && placement.per === 'worker')
      refuse('per', 'worker is beside an engine worker, and a pool has none');
  });

/** Branches by their usual names: what they point at changes. */
const MOVING = /^(main|master|HEAD|trunk|develop|dev|refs\/heads\/.*|origin\/.*)$/;
/** Four digits are git's shortest abbreviation. */
export const COMMIT = /^[0-9a-f]{4,40}$/;

const sourceSchema = z.strictObject({
  git: filled
    .refine((url) => !url.startsWith('-'), 'begins with a dash, which git would read as an option')
    .describe('URL of the repository'),
  rev: filled
    .refine((rev) => !rev.startsWith('-'), 'begins with a dash, which git would read as an option')
    .refine(
      (rev) => !MOVING.test(rev.trim()),
      'is a branch, which moves: name a commit, a tag or refs/pull/N/head',
    )
    .describe('commit, tag or refs/pull/N/head'),
  path: filled
    .refine(
      (path) => !path.startsWith('/') && !path.split('/').includes('..'),
      'must be below the repository',
    )
    .nullish()
    .describe('directory below the repository in which it is built and runs'),
  sha: z.string().regex(COMMIT, 'must be a commit').nullish().describe('commit of rev'),
});

const metricsSchema = z.strictObject({
  port: portSchema.describe('TCP port on the node'),
  path: pathSchema.default('/metrics').describe('path of the metrics'),
  nodes: z.enum(['all', 'first']).default('all').describe('which of its nodes are read'),
  name: filled.nullish().describe('name of what is recorded; by default that of the service'),
});

/** One service as every kind has it; service-checks.ts adds what differs. */
export const serviceSchemaOf = (types: readonly { readonly type: string; readonly summary: string }[]) =>
  z.strictObject({
    name: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'must be letters, digits, dots, dashes and underscores')
      .max(60)
      .describe('name of the service, of its log and of its variables'),
    type: z
      .enum(types.map(({ type }) => type))
      .default('generic')
      .describe(types.map(({ type, summary }) => `${type}: ${summary}`).join('; ')),
    enabled: z
      .boolean()
      .default(true)
      .describe('false: it is left out; also one that the recipe implies, by its name'),
    external: filled.nullish().describe('etcd, nats, mooncake-master: address of one that runs already'),
    command: words.nullish().describe('the program and its arguments, without a shell'),
    args: words.default([]).describe('further arguments'),
    container: filled
      .nullish()
      .describe('image, or alias from containers; by default that of its kind, or of the workers'),
    env: envSchema.describe('its environment; that of the recipe is not added'),
    options: z.record(z.string(), z.unknown()).default({}).describe('settings of its kind'),
    source: sourceSchema.nullish().describe('repository that is fetched before it is built and started'),
    build_command: words.nullish().describe('builds it once, in the directory of its source'),
    build_timeout_seconds: positiveSchema.default(1800).describe('seconds that the build may take'),
    placement: placementSchema.nullish().describe('where it runs'),
    nodes: positiveSchema
      .max(20_000)
      .nullish()
      .describe('whole nodes of its own: a pool beside the nodes of the workers'),
    start: z
      .enum(serviceStarts)
      .nullish()
      .describe(
        'infra: with etcd; before_workers: ready before workers start; with_workers: beside them; after_frontend: when all is ready to serve',
      ),
    readiness: readinessSchema.nullish().describe('how it is known to be ready'),
    inherit_discovery_env: z
      .boolean()
      .default(true)
      .describe('it gets ETCD_ENDPOINTS and NATS_SERVER where the job has them'),
    critical: z.boolean().nullish().describe('whether its end with an error fails the run'),
    terminal: z
      .boolean()
      .default(false)
      .describe('it is the run: the job ends when all such services have ended, with the worst exit code'),
    metrics: z
      .union([metricsSchema, z.array(metricsSchema)])
      .nullish()
      .transform((metrics) => (metrics == null ? [] : Array.isArray(metrics) ? metrics : [metrics]))
      .describe('where it serves metrics'),
    preamble: z.string().nullish().describe('shell commands before its command'),
    cpus_per_task: positiveSchema.nullish().describe('--cpus-per-task of srun'),
    cpu_bind: filled.nullish().describe('--cpu-bind of srun'),
    srun_options: directivesSchema.describe('further options of srun, without the leading dashes'),
  });

export type Service = z.infer<ReturnType<typeof serviceSchemaOf>>;
