import * as z from 'zod';
import { countSchema, positiveSchema } from '../values/values.ts';
import { EVALUATIONS, evaluationShape } from './benchmarks/accuracy.ts';

/**
 * Sections about recording, monitoring and reporting a run. Their schemas are created on demand, because few
 * recipes have these sections and every command would wait for them.
 */

const text = (what: string) => z.string().nullish().describe(what);
const flag = (what: string) => z.boolean().nullish().describe(what);
const count = (what: string) => countSchema.nullish().describe(what);
const seconds = (what: string) => z.number().positive().nullish().describe(`seconds: ${what}`);
const labels = (what: string) => z.record(z.string(), z.string()).nullish().describe(what);
const enabled = (what: string) => z.boolean().default(false).describe(what);

export const identitySchema = z.lazy(() =>
  z.strictObject({
    model: z
      .strictObject({ repo: text('id of the model on Hugging Face'), revision: text('its commit') })
      .nullish()
      .describe('which model'),
    container: z
      .strictObject({ image: text('where the image came from') })
      .nullish()
      .describe('which image'),
    frameworks: labels('versions by name, such as dynamo or sglang'),
  }),
);

const portSchema = z.number().int().min(1).max(65535);

const gpuLabelsSchema = z.strictObject({
  index: z.string().describe("label with a GPU's number on its node"),
  identity: z.string().describe('label that stays the same for one GPU'),
  instance: z.array(z.string()).default([]).describe('labels of parts of a GPU, which are left out'),
});

const metricSchema = z.strictObject({ metric: z.string().describe('its name in the scrape') });

const gpuMetricsSchema = z.strictObject({
  power: z
    .strictObject({
      metric: z.string().describe('its name in the scrape'),
      scope: z.string().describe('of what it is the power'),
    })
    .describe('power in watts'),
  gpu_util: metricSchema.nullish().describe('load in percent'),
  sm_active: metricSchema.nullish().describe('share of busy SMs, 0 to 1'),
  temperature: metricSchema.nullish().describe('degrees Celsius'),
});

const exporter = (what: string) =>
  z
    .strictObject({
      container_image: text('image, or alias from containers'),
      port: portSchema.describe('TCP port on each node'),
      command: text('command in the container'),
      binary: text('program on the bare node, in place of a container'),
      kind: z.enum(['dcgm', 'custom']).nullish().describe('exporter of DCGM, or another one'),
      gpu_labels: gpuLabelsSchema.nullish().describe('labels that name a GPU; by default those of DCGM'),
      gpu_metrics: gpuMetricsSchema.nullish().describe('metrics of a GPU; by default those of DCGM'),
    })
    .nullish()
    .describe(`exporter of ${what}, on every node`);

export const gpuExporterSchema = z.lazy(() => exporter("the GPUs' metrics"));

/** Fields that recorders of metrics share. */
const recorderShape = () => ({
  binary_path: text('program of the recorder'),
  default_frequency: seconds('from one reading to the next'),
  collect_interval_ms: positiveSchema.nullish().describe('milliseconds from one reading to the next'),
  sync_interval_secs: count('seconds from one write to disk to the next'),
  compaction_threads: count('threads that pack what was recorded'),
  storage_subdir: text("directory below the job's logs"),
  extra_metadata: labels('labels of what is recorded'),
  dcgm_exporter: exporter("the GPUs' metrics"),
  node_exporter: exporter("the node's metrics"),
});

export const observabilitySchema = z.lazy(() =>
  z.strictObject({
    enabled: enabled('record the metrics of workers and nodes, which srtctl always does'),
    scrape_metrics: flag('read the metrics of workers'),
    enable_otel: enabled(
      'send a trace of the job, and of requests where the router can; needs otel_endpoint',
    ),
    host_sampler_all_nodes: flag('sample the processes of every node, not of the first alone'),
    otel_endpoint: text('collector of OpenTelemetry, such as http://10.0.0.1:4317'),
    otel_requests: count('requests of each point that are traced; by default 100'),
    tachometer: z
      .strictObject({
        enabled: flag('whether it runs; by default with observability'),
        ...recorderShape(),
        shutdown_grace_secs: z.number().min(0).nullish().describe('seconds that it has to pack at the end'),
        default_exporters: flag('start the exporters that the recipe does not name'),
        process_exporter: exporter("the processes' metrics"),
        default_gpu_exporter: exporter("the GPUs' metrics, where dcgm_exporter is not set"),
      })
      .nullish()
      .describe('recorder of metrics'),
    nsys: z
      .strictObject({
        enabled: flag('whether Nsight Systems records; by default with observability'),
        capture_window: z
          .enum(['measured_workload', 'including_startup'])
          .nullish()
          .describe('what is recorded: the measurement, or everything'),
        report_timeout_secs: positiveSchema.nullish().describe('seconds that a report may take'),
        nvtx_injection_path: text('library for NVTX, in the container'),
        cpu_sampling: z
          .enum(['system-wide', 'process-tree', 'none'])
          .nullish()
          .describe('which processes are sampled'),
      })
      .nullish()
      .describe('Nsight Systems, for all workers'),
  }),
);

const powerSourceSchema = z.enum(['auto', 'acpi', 'dcgm']);

export const telemetrySchema = z.lazy(() =>
  z.strictObject({
    enabled: flag('record the node, its GPUs and all metrics; by default it is done'),
    interval_ms: z
      .number()
      .int()
      .min(100)
      .nullish()
      .describe('milliseconds from one sample to the next; by default 1000'),
    provider: text('kind of recorder'),
    container_image: text('image of the recorder, or alias from containers'),
    ...recorderShape(),
    required: flag('fail the run when nothing could be recorded'),
    clock_sync_check: flag("check first that the nodes' clocks agree"),
    cpu_power_exporter: z
      .strictObject({
        port: portSchema.nullish().describe('TCP port on each node'),
        source: powerSourceSchema.nullish().describe('where the power comes from'),
      })
      .nullish()
      .describe("exporter of the CPUs' power, on every node"),
    cpu_power: z
      .strictObject({
        enabled: enabled("record the CPUs' power"),
        source: powerSourceSchema.nullish().describe('where it comes from'),
        sample_interval_seconds: seconds('from one reading to the next'),
        startup_timeout_seconds: seconds('until every node must record'),
        required: flag('fail the run when nothing could be recorded'),
        storage_subdir: text("directory below the job's logs"),
      })
      .nullish()
      .describe("the CPUs' power"),
    startup_timeout_seconds: seconds('until exporters must answer'),
    request_timeout_seconds: seconds('for one reading'),
    collector_join_timeout_seconds: seconds('for the recorder to end'),
    live_metrics: z
      .strictObject({
        enabled: enabled('whether it is drawn'),
        interval_seconds: positiveSchema.nullish().describe('seconds from one drawing to the next'),
        downsample: positiveSchema.nullish().describe('of how many values one is drawn'),
      })
      .nullish()
      .describe('a picture of the batches while the run goes on'),
  }),
);

export const outputSchema = z.lazy(() =>
  z.strictObject({
    log_dir: text('srtctl keeps logs in the output directory of the job'),
    record_launch_plan: flag('keep every command that was run; srtctl always does'),
  }),
);

export const postEvalSchema = z.lazy(() =>
  z.strictObject({
    type: z
      .enum(EVALUATIONS)
      .nullish()
      .describe('an evaluation after the benchmark, on the same engines; the keys below are as in benchmark'),
    ...evaluationShape,
    passthrough_env: z
      .array(z.string().regex(/^[A-Za-z_]\w*$/, 'must be the name of an environment variable'))
      .default([])
      .describe('variables of the environment in which the job was submitted that the evaluation gets'),
    command: z
      .array(z.string())
      .min(1)
      .nullish()
      .describe(
        'the evaluation: a program and its arguments, which may hold {endpoint} and {infmax_workspace}',
      ),
  }),
);

export const hostSetupSchema = z.lazy(() =>
  z.strictObject({
    commands: z.array(z.string()).default([]).describe('commands on each bare node before any worker starts'),
    teardown: z
      .array(z.string())
      .default([])
      .describe('commands on each bare node when everything has ended, also when the job has failed'),
    nodes: z.enum(['all', 'workers']).default('all').describe('which nodes'),
    ignore_failure: z.boolean().default(false).describe('go on when a command fails'),
    timeout_seconds: positiveSchema
      .default(300)
      .describe('seconds that the commands of a node may take, and its teardown'),
  }),
);
