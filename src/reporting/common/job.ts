import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, resolve } from 'node:path';
import * as z from 'zod';
import { type JobSpec, jobSpecSchema } from '../../messages/job-directory/job-files.ts';
import { type Reporting, reportingSchema } from '../../recipe/schema/reporting.ts';

const named = z.object({ type: z.string().optional() }).optional();
const count = z.number().nullish();

/**
 * What a report says of a recipe. `<job id>.json` has the whole recipe, checked by `apply`; reading more of it would
 * load the schemas of all engines.
 */
const variantSchema = z.object({
  file: z.string(),
  points: z
    .array(
      z.object({
        recipe: z.object({
          model: z.object({ path: z.string(), precision: z.string().nullish() }),
          resources: z.object({
            gpu_type: z.string().nullish(),
            gpus_per_node: count,
            prefill_workers: count,
            decode_workers: count,
            agg_workers: count,
          }),
          benchmark: named,
          backend: named,
          frontend: named,
          reporting: reportingSchema.nullish(),
          observability: z
            .object({
              enable_otel: z.boolean().nullish(),
              otel_endpoint: z.string().nullish(),
              otel_requests: z.number().nullish(),
            })
            .nullish(),
        }),
      }),
    )
    .min(1),
});

export type ReportedRecipe = z.infer<typeof variantSchema>['points'][number]['recipe'];

/** A job as its reports describe it. */
export interface ReportedJob {
  readonly spec: JobSpec;
  readonly cluster: string | undefined;
  /** The head node; undefined before a Slurm job has its nodes. */
  readonly head: string | undefined;
  /** The recipe's file. */
  readonly file: string;
  readonly recipe: ReportedRecipe;
  readonly reporting: Reporting | null | undefined;
}

/**
 * @param here the name of this machine, where it is the head node
 * @throws ZodError when it is not a job of this release
 */
export function reportedJob(spec: JobSpec, here?: string): ReportedJob {
  const { file, points } = variantSchema.parse(spec.variant);
  const [first] = points;
  if (!first) throw new TypeError('a variant without points');
  const cluster = z.object({ cluster: z.string().nullish() }).safeParse(spec.cluster).data?.cluster;
  return {
    spec,
    cluster: cluster ?? undefined,
    head: spec.nodes[0] ?? here,
    file,
    recipe: first.recipe,
    reporting: first.recipe.reporting,
  };
}

/** Reads <job id>.json, on the head node. */
export const readReportedJob = async (path: string): Promise<ReportedJob> =>
  reportedJob(
    // A job's directory may have been moved.
    { ...jobSpecSchema.parse(JSON.parse(await readFile(path, 'utf8'))), jobDir: dirname(resolve(path)) },
    process.env.SLURMD_NODENAME ?? hostname(),
  );
