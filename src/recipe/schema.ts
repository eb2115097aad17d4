import * as z from 'zod';
import { sglangBackendSchema } from './backend-sglang.ts';
import { trtllmBackendSchema } from './backend-trtllm.ts';
import { benchmarkSchema } from './benchmark.ts';
import { countSchema, envSchema, flagsSchema, positiveSchema } from './values.ts';

const modelSchema = z.strictObject({
  path: z.string().min(1).describe('directory, alias from model_paths, or hf:org/name'),
  container: z.string().min(1).describe('image, or alias from containers'),
  precision: z.string().min(1),
});

const resourcesSchema = z.strictObject({
  gpu_type: z.string().min(1),
  gpus_per_node: positiveSchema,
  prefill_nodes: countSchema.nullish(),
  prefill_workers: countSchema.nullish(),
  decode_nodes: countSchema.nullish().describe('0: decode workers share the nodes of the prefill workers'),
  decode_workers: countSchema.nullish(),
  agg_nodes: countSchema.nullish(),
  agg_workers: countSchema.nullish(),
  gpus_per_prefill: positiveSchema.nullish(),
  gpus_per_decode: positiveSchema.nullish(),
  gpus_per_agg: positiveSchema.nullish(),
  prefill_nodes_per_worker: positiveSchema.nullish(),
  decode_nodes_per_worker: positiveSchema
    .nullish()
    .describe('spread each worker evenly over so many nodes, also when it would fit on fewer'),
  agg_nodes_per_worker: positiveSchema.nullish(),
});
export type Resources = z.infer<typeof resourcesSchema>;

export const frontendTypes = ['dynamo', 'sglang', 'trtllm_serve'] as const;

const frontendSchema = z
  .strictObject({
    type: z.enum(frontendTypes).default('dynamo'),
    enable_multiple_frontends: z.boolean().default(true).describe('several routers with nginx in front'),
    num_additional_frontends: countSchema.default(9),
    nginx_container: z.string().default('nginx'),
    nginx_raise_ulimit: z.boolean().default(false),
    args: flagsSchema.default({}).describe('further options of the router'),
    env: envSchema.describe('environment of the router'),
  })
  .prefault({});

const dynamoSchema = z
  .strictObject({
    install: z.boolean().default(true),
    version: z.string().nullish(),
    hash: z.string().nullish(),
    top_of_tree: z.boolean().default(false),
    wheel: z.string().nullish(),
    request_plane: z.enum(['tcp', 'nats', 'http']).default('tcp').describe('how requests reach the workers'),
  })
  .prefault({});

const stepsSchema = z.strictObject({ start_step: countSchema, stop_step: countSchema });

const profilingSchema = z
  .strictObject({
    type: z.enum(['none', 'torch', 'nsys']).default('none'),
    prefill: stepsSchema.nullish(),
    decode: stepsSchema.nullish(),
    aggregated: stepsSchema.nullish(),
  })
  .prefault({});

const slurmSchema = z
  .strictObject({
    account: z.string().nullish(),
    partition: z.string().nullish(),
    time_limit: z.string().nullish().describe('HH:MM:SS; quoted, or YAML readers differ on what it means'),
  })
  .prefault({});

const healthCheckSchema = z
  .strictObject({
    interval_seconds: positiveSchema.default(10),
    max_attempts: positiveSchema.default(180),
  })
  .prefault({});

const infraSchema = z.strictObject({ etcd_nats_dedicated_node: z.boolean().default(false) }).prefault({});

/** `backend`: each engine has its own shape of it. A new engine is one line here. */
const backendSchema = z.discriminatedUnion('type', [sglangBackendSchema, trtllmBackendSchema]);
export type BackendType = z.infer<typeof backendSchema>['type'];
export type BackendConfig<Type extends BackendType> = Extract<z.infer<typeof backendSchema>, { type: Type }>;

/** Engines that a recipe may name. */
export const backendTypes: readonly BackendType[] = ['sglang', 'trtllm'];

const directiveSchema = z.union([z.string(), z.number(), z.boolean()]).transform(String);

/** A recipe after overrides, sweep parameters, cluster defaults and aliases. Reading it again changes nothing. */
export const recipeSchema = z.strictObject({
  name: z.string().min(1),
  model: modelSchema,
  resources: resourcesSchema,
  slurm: slurmSchema,
  frontend: frontendSchema,
  backend: backendSchema.prefault({}),
  benchmark: benchmarkSchema.prefault({}),
  dynamo: dynamoSchema,
  environment: envSchema.describe('environment of every worker and router'),
  health_check: healthCheckSchema,
  profiling: profilingSchema,
  infra: infraSchema,
  sbatch_directives: z.record(z.string(), directiveSchema).default({}),
  srun_options: z.record(z.string(), directiveSchema).default({}),
  setup_script: z.string().nullish(),
  extra_mount: z.array(z.string()).nullish(),
  container_mounts: z.record(z.string(), z.string()).nullish(),
  enable_config_dump: z.boolean().default(true),
  /** Kept for whoever reads the recipe; nothing here is run by them. */
  identity: z.record(z.string(), z.unknown()).nullish(),
  observability: z.record(z.string(), z.unknown()).nullish(),
});
export type Recipe = z.infer<typeof recipeSchema>;
