import * as z from 'zod';
import { timeLimitSchema } from '../values/time-limit.ts';
import { countSchema, lineSchema, positiveSchema } from '../values/values.ts';

export const modelSchema = z.strictObject({
  path: z.string().min(1).describe('directory, alias from model_paths, or hf:org/name'),
  container: z.string().min(1).describe('image, or alias from containers'),
  precision: z.string().min(1).describe('fp4, fp8, bf16 …: recorded with the result'),
  stage_dir: z
    .string()
    .nullish()
    .describe('directory on a disk of each node, to which the model is copied before the workers start'),
});

/** Above the size of the largest clusters. */
const MOST = 20_000;

const nodes = (mode: string) => countSchema.max(MOST).nullish().describe(`nodes of the ${mode} workers`);
const workers = (mode: string) => countSchema.max(MOST).nullish().describe(`number of ${mode} workers`);
const gpus = (mode: string) =>
  positiveSchema
    .nullish()
    .describe(`GPUs of one ${mode} worker; by default an equal share of the mode's nodes`);
const spread = (mode: string) =>
  positiveSchema
    .nullish()
    .describe(`nodes over which each ${mode} worker is spread evenly, also when it would fit on fewer`);

export const resourcesSchema = z.strictObject({
  gpu_type: z
    .string()
    .min(1)
    .nullish()
    .describe('h100, gb200 …; by default default_gpu_type of srtslurm.yaml'),
  gpus_per_node: positiveSchema
    .default(4)
    .describe('GPUs of a node; by default gpus_per_node of srtslurm.yaml'),
  prefill_nodes: nodes('prefill'),
  prefill_workers: workers('prefill'),
  gpus_per_prefill: gpus('prefill'),
  decode_nodes: countSchema
    .max(MOST)
    .nullish()
    .describe('nodes of the decode workers; 0: they share the nodes of the prefill workers'),
  decode_workers: workers('decode'),
  gpus_per_decode: gpus('decode'),
  agg_nodes: nodes('aggregated'),
  agg_workers: workers('aggregated'),
  gpus_per_agg: gpus('aggregated'),
  prefill_nodes_per_worker: spread('prefill'),
  decode_nodes_per_worker: spread('decode'),
  agg_nodes_per_worker: spread('aggregated'),
  spread_workers: z
    .boolean()
    .default(false)
    .describe('a node for each worker, also when several would fit on one'),
  spare_nodes: countSchema
    .max(MOST)
    .default(0)
    .describe('nodes beyond what the plan needs, which take the place of lost ones'),
  het_jobs: z
    .boolean()
    .nullish()
    .describe(
      'ask Slurm for prefill and decode nodes as two components of a heterogeneous job, each within one segment; by default use_het_jobs of srtslurm.yaml',
    ),
});
export type Resources = z.infer<typeof resourcesSchema>;

export const slurmSchema = z
  .strictObject({
    account: lineSchema.nullish().describe('by default default_account of srtslurm.yaml'),
    partition: lineSchema.nullish().describe('by default default_partition of srtslurm.yaml'),
    time_limit: timeLimitSchema
      .nullish()
      .describe(
        'as sbatch(1) reads it: minutes, HH:MM:SS or D-HH:MM:SS; quoted, or YAML readers differ on what it means',
      ),
  })
  .prefault({});
