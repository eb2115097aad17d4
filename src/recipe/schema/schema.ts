import * as z from 'zod';
import { mockerBackendSchema } from '../../backends/mocker/schema.ts';
import { sglangBackendSchema } from '../../backends/sglang/schema.ts';
import { trtllmBackendSchema } from '../../backends/trtllm/schema.ts';
import { vllmBackendSchema } from '../../backends/vllm/schema.ts';
import { benchmarkSchema } from '../../benchmarks/schema.ts';
import { dynamoSchema } from '../../frontends/dynamo/schema.ts';
import { frontendSchema } from '../../frontends/schema.ts';
import { mountListSchema, mountMapSchema } from '../values/mount-path.ts';
import { busSchema, supervisionSchema } from '../values/supervision.ts';
import { directivesSchema, envSchema, lineSchema, positiveSchema } from '../values/values.ts';
import {
  hostSetupSchema,
  identitySchema,
  observabilitySchema,
  outputSchema,
  reportingSchema,
  telemetrySchema,
} from './observability.ts';
import { profilingSchema } from './profiling.ts';
import { modelSchema, resourcesSchema, slurmSchema } from './resources.ts';

const healthCheckSchema = z
  .strictObject({
    interval_seconds: positiveSchema.default(10).describe('seconds between two checks'),
    max_attempts: positiveSchema
      .default(180)
      .describe('checks after which a worker that is not ready has failed'),
  })
  .prefault({});

const infraSchema = z
  .strictObject({
    etcd_nats_dedicated_node: z.boolean().default(false).describe('a node for etcd and NATS alone'),
    nats_max_payload_mb: positiveSchema.max(1000).nullish().describe('largest message of NATS in MB'),
  })
  .prefault({});

/** `backend`: each engine has its own shape of it. A new engine is one line here. */
const backendSchema = z.discriminatedUnion('type', [
  sglangBackendSchema,
  trtllmBackendSchema,
  vllmBackendSchema,
  mockerBackendSchema,
]);
export type BackendType = z.infer<typeof backendSchema>['type'];
export type BackendConfig<Type extends BackendType> = Extract<z.infer<typeof backendSchema>, { type: Type }>;

/** Engines that a recipe may name. */
export const backendTypes: readonly BackendType[] = ['sglang', 'trtllm', 'vllm', 'mocker'];

/** A recipe after overrides, sweep parameters, cluster defaults and aliases. Reading it again changes nothing. */
export const recipeSchema = z.strictObject({
  name: lineSchema.min(1).describe('name of the run and of its Slurm job'),
  model: modelSchema.describe('what is served, and in which image'),
  resources: resourcesSchema.describe('how many workers there are, on which nodes and GPUs'),
  slurm: slurmSchema.describe('what is asked of Slurm'),
  frontend: frontendSchema.describe('what requests go through'),
  backend: backendSchema.prefault({}).describe('the engine and its options'),
  benchmark: benchmarkSchema.prefault({}).describe('what is measured'),
  dynamo: dynamoSchema.describe('which Dynamo, and how it is set up'),
  environment: envSchema.describe('environment of every worker and router'),
  health_check: healthCheckSchema.describe('how long workers may take to get ready'),
  profiling: profilingSchema.describe('profilers of the workers'),
  infra: infraSchema.describe('where etcd and NATS run'),
  supervision: supervisionSchema.describe('how failures are noticed, and what they end'),
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
    .describe('workers write the configuration that they run with'),
  host_setup: hostSetupSchema.nullish().describe('commands on each bare node'),
  output: outputSchema.nullish().describe('where logs go'),
  identity: identitySchema.nullish().describe('what should be running; kept with the result'),
  observability: observabilitySchema.nullish().describe('metrics and traces'),
  telemetry: telemetrySchema.nullish().describe('power and load of the GPUs'),
  reporting: reportingSchema.nullish().describe('who is told of a run'),
});
export type Recipe = z.infer<typeof recipeSchema>;
