import * as z from 'zod';
import { mountListSchema, mountMapSchema } from '../values/mount-path.ts';
import { patternSchema } from '../values/pattern.ts';
import { busSchema, supervisionSchema } from '../values/supervision.ts';
import {
  directivesSchema,
  environmentsShape,
  envSchema,
  kvEventsSchema,
  lineSchema,
  mooncakeShape,
  positiveSchema,
} from '../values/values.ts';
import type { benchmarkSchemaOf } from './benchmark.ts';
import { dynamoSchema } from './dynamo.ts';
import { experimentSchema } from './experiment.ts';
import type { frontendSchemaOf } from './frontend.ts';
import {
  hostSetupSchema,
  identitySchema,
  observabilitySchema,
  outputSchema,
  postEvalSchema,
  telemetrySchema,
} from './observability.ts';
import { profilingSchema } from './profiling.ts';
import { reportingSchema } from './reporting.ts';
import { modelSchema, resourcesSchema, slurmSchema } from './resources.ts';
import { rolesSchemaOf } from './roles.ts';
import { servicesSchemaOf } from './service-checks.ts';
import type { ServiceFacts } from './services.ts';

const healthCheckSchema = z
  .strictObject({
    interval_seconds: positiveSchema.default(10).describe('seconds between two checks'),
    max_attempts: positiveSchema
      .default(180)
      .describe('checks after which a worker that is not ready has failed'),
    fatal_log_markers: z
      .boolean()
      .nullish()
      .describe(
        'whether a worker has failed when its log has a line that its engine writes only when it cannot serve any more; by default it has',
      ),
    extra_fatal_log_patterns: z
      .array(patternSchema)
      .nullish()
      .describe(
        'regular expressions, without look-around and back-references: a worker whose log has a matching line has failed',
      ),
  })
  .prefault({});

const infraSchema = z
  .strictObject({
    etcd_nats_dedicated_node: z.boolean().default(false).describe('a node for etcd and NATS alone'),
    nats_max_payload_mb: positiveSchema.max(1000).nullish().describe('largest message of NATS in MB'),
  })
  .prefault({});

/** `backend`, as far as all engines share it. Each engine adds its own keys in its own schema. */
const anyBackendSchema = z.object({
  type: z.string(),
  ...environmentsShape,
  kv_events_config: kvEventsSchema,
  mooncake_kv_store: z.object(mooncakeShape).nullish(),
});

/** The sections that depend on the known engines, routers and benchmarks. */
export interface KindSchemas<Backend extends z.ZodType, Engine extends z.ZodType> {
  readonly frontend: ReturnType<typeof frontendSchemaOf>;
  readonly backend: Backend;
  /** `backend` without a default, for a role of its own. */
  readonly engine: Engine;
  readonly benchmark: ReturnType<typeof benchmarkSchemaOf>;
  readonly services: readonly ServiceFacts[];
}

/**
 * A recipe after overrides, sweep parameters, cluster defaults and aliases. Parsing it again changes nothing.
 */
export const recipeSchemaOf = <Backend extends z.ZodType, Engine extends z.ZodType>({
  frontend,
  backend,
  engine,
  benchmark,
  services,
}: KindSchemas<Backend, Engine>) =>
  z.strictObject({
    name: lineSchema.min(1).describe('name of the run and of its Slurm job'),
    model: modelSchema.describe('what is served, and in which image'),
    resources: resourcesSchema.describe('how many workers there are, on which nodes and GPUs'),
    slurm: slurmSchema.describe('what is asked of Slurm'),
    frontend: frontend.describe('what requests go through'),
    backend: backend.describe('the engine and its options'),
    roles: rolesSchemaOf(engine).describe('what belongs to the workers of one role alone'),
    benchmark: benchmark.prefault({}).describe('what is measured'),
    services: servicesSchemaOf(services).describe(
      'long-running programs beside workers, router and benchmark',
    ),
    experiment: experimentSchema.nullish().describe('faults that are made on purpose while it is measured'),
    dynamo: dynamoSchema.describe('which Dynamo, and how it is set up'),
    environment: envSchema.describe('environment of every worker and router'),
    health_check: healthCheckSchema.describe('how long workers may take to get ready'),
    profiling: profilingSchema.describe('profilers of the workers'),
    infra: infraSchema.describe('where etcd and NATS run'),
    supervision: supervisionSchema.describe('how failures are detected, and their effect'),
    bus: busSchema.describe("srtctl's own messages"),
    sbatch_directives: directivesSchema.describe('further options of sbatch, without the leading dashes'),
    srun_options: directivesSchema.describe('further options of srun, without the leading dashes'),
    setup_script: z
      .string()
      .nullish()
      .describe(
        'script that runs on each node, in the container, before Dynamo is installed and workers start',
      ),
    extra_mount: mountListSchema.nullish().describe('further mounts of the containers, as host:container'),
    container_mounts: mountMapSchema
      .nullish()
      .describe('further mounts of the containers: host directory, and where it is in the container'),
    enable_config_dump: z
      .boolean()
      .default(true)
      .describe('workers write their effective configuration to a file'),
    post_eval: postEvalSchema.nullish().describe('evaluation after the benchmark, on the same engines'),
    max_gpu_hours: z
      .number()
      .positive()
      .nullish()
      .describe('GPU-hours (nodes, GPUs and time limit) of a job above which apply asks or refuses'),
    host_setup: hostSetupSchema.nullish().describe('commands on each bare node'),
    output: outputSchema.nullish().describe('where logs go'),
    identity: identitySchema.nullish().describe('what should be running; kept with the result'),
    observability: observabilitySchema.nullish().describe('metrics and traces'),
    telemetry: telemetrySchema.nullish().describe('power and load of the GPUs'),
    reporting: reportingSchema.nullish().describe('where a run is reported'),
  });

/**
 * A recipe for code that does not depend on the known engines. The recipe of recipe-schema.ts is a subtype.
 */
export type Recipe = z.infer<
  ReturnType<typeof recipeSchemaOf<typeof anyBackendSchema, typeof anyBackendSchema>>
>;
