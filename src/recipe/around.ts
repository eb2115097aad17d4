import * as z from 'zod';
import { countSchema, positiveSchema } from './values.ts';

/** Sections beside what runs: what is recorded, watched and reported of a run. */

export const identitySchema = z.strictObject({
  model: z
    .strictObject({
      repo: z.string().nullish().describe('id of the model on Hugging Face'),
      revision: z.string().nullish().describe('its commit'),
    })
    .nullish(),
  container: z.strictObject({ image: z.string().nullish().describe('where the image came from') }).nullish(),
  frameworks: z
    .record(z.string(), z.string())
    .nullish()
    .describe('versions by name, such as dynamo or sglang'),
});

const exporterSchema = z
  .strictObject({
    container_image: z.string().min(1).nullish().describe('image, or alias from containers'),
    port: z.number().int().min(1).max(65535).describe('TCP port on each node'),
    command: z.string().nullish(),
    binary: z.string().nullish(),
  })
  .nullish();

export const observabilitySchema = z.strictObject({
  enabled: z.boolean().default(false).describe('record the metrics of workers and nodes'),
  scrape_metrics: z.boolean().nullish(),
  enable_otel: z.boolean().default(false).describe('send traces of requests; needs otel_endpoint'),
  otel_endpoint: z.string().nullish().describe('collector of OpenTelemetry, such as http://10.0.0.1:4317'),
  tachometer: z
    .strictObject({
      enabled: z.boolean().nullish(),
      binary_path: z.string().min(1).nullish(),
      default_frequency: z.number().positive().nullish(),
      collect_interval_ms: positiveSchema.nullish().describe('milliseconds between two readings'),
      sync_interval_secs: countSchema.nullish(),
      shutdown_grace_secs: z.number().min(0).nullish(),
      compaction_threads: countSchema.nullish(),
      storage_subdir: z.string().nullish(),
      extra_metadata: z.record(z.string(), z.string()).nullish(),
      default_exporters: z.boolean().nullish(),
      dcgm_exporter: exporterSchema,
      node_exporter: exporterSchema,
      process_exporter: exporterSchema,
    })
    .nullish()
    .describe('recorder of metrics'),
});

export const telemetrySchema = z.strictObject({
  enabled: z.boolean().default(false).describe("record the GPUs' power and load"),
  provider: z.string().nullish(),
  container_image: z.string().nullish(),
  binary_path: z.string().nullish(),
  default_frequency: z.number().positive().nullish(),
  collect_interval_ms: positiveSchema.nullish().describe('milliseconds between two readings'),
  sync_interval_secs: countSchema.nullish(),
  compaction_threads: countSchema.nullish(),
  storage_subdir: z.string().nullish(),
  extra_metadata: z.record(z.string(), z.string()).nullish(),
  required: z.boolean().nullish().describe('fail the run when nothing could be recorded'),
  startup_timeout_seconds: z.number().positive().nullish(),
  request_timeout_seconds: z.number().positive().nullish(),
  collector_join_timeout_seconds: z.number().positive().nullish(),
  dcgm_exporter: exporterSchema,
  node_exporter: exporterSchema,
  live_metrics: z
    .strictObject({
      enabled: z.boolean().default(false),
      interval_seconds: positiveSchema.nullish(),
      downsample: positiveSchema.nullish(),
    })
    .nullish(),
});

export const reportingSchema = z.strictObject({
  status: z
    .strictObject({ endpoint: z.string().nullish(), endpoints: z.array(z.string()).nullish() })
    .nullish()
    .describe('where the state of a run is reported'),
  ai_analysis: z
    .strictObject({
      enabled: z.boolean().default(false),
      openrouter_api_key: z.string().nullish(),
      gh_token: z.string().nullish(),
      repos_to_search: z.array(z.string()).nullish(),
      pr_search_days: positiveSchema.nullish(),
      prompt: z.string().nullish(),
    })
    .nullish(),
  s3: z
    .strictObject({
      bucket: z.string().min(1),
      prefix: z.string().nullish(),
      region: z.string().nullish(),
      endpoint_url: z.string().nullish(),
      access_key_id: z.string().nullish(),
      secret_access_key: z.string().nullish(),
    })
    .nullish()
    .describe('where logs are kept after a run'),
});

export const outputSchema = z.strictObject({
  log_dir: z.string().nullish().describe('srtctl keeps logs in the output directory of the job'),
  record_launch_plan: z.boolean().nullish(),
});

export const hostSetupSchema = z.strictObject({
  commands: z.array(z.string()).default([]).describe('commands on each bare node before any worker starts'),
  teardown: z.array(z.string()).default([]).describe('commands on each bare node at the end'),
  nodes: z.enum(['all', 'workers']).default('all'),
  ignore_failure: z.boolean().default(false),
  timeout_seconds: positiveSchema.default(300),
});
