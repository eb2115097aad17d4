import * as z from 'zod';
import { countSchema, positiveSchema } from '../values/values.ts';

const steps = (mode: string) =>
  z
    .strictObject({
      start_step: countSchema.nullish().describe('step of the engine at which profiling starts'),
      stop_step: countSchema.nullish().describe('step at which it stops'),
      capture_scope: z
        .enum(['selected', 'all'])
        .nullish()
        .describe('nsys: all processes of the mode, which is the default, or only the selected one'),
      worker_index: countSchema.nullish().describe('selected: number of the worker; by default 0'),
      worker_rank: countSchema
        .nullish()
        .describe('selected: rank of the process in that worker; by default 0'),
    })
    .nullish()
    .describe(`steps of ${mode} workers`);

export const profilingTypes = ['none', 'torch', 'nsys', 'nsys-time'] as const;

export const profilingSchema = z
  .strictObject({
    type: z
      .enum(profilingTypes)
      .default('none')
      .describe(
        'torch: the profiler of PyTorch; nsys: Nsight Systems between two steps; nsys-time: after a delay',
      ),
    extra_nsys_args: z.array(z.string()).nullish().describe('further options of nsys profile'),
    nsys_trace: z
      .string()
      .min(1)
      .nullish()
      .describe('what Nsight Systems traces in other engines than TensorRT-LLM; by default cuda,nvtx'),
    trace_fork_before_exec: z
      .boolean()
      .nullish()
      .describe('whether Nsight Systems follows a fork without exec; by default as the engine needs it'),
    capture_range_end: z
      .string()
      .min(1)
      .nullish()
      .describe('nsys: what follows the stop step in other engines than TensorRT-LLM; by default stop'),
    nsys_library_paths: z
      .array(z.string().min(1))
      .nullish()
      .describe('directories in front of LD_LIBRARY_PATH for Nsight Systems and the worker'),
    prefill: steps('prefill'),
    decode: steps('decode'),
    aggregated: steps('aggregated'),
    delay_secs: countSchema.nullish().describe('nsys-time: seconds from start to capture'),
    duration_secs: positiveSchema.nullish().describe('nsys-time: seconds of the capture'),
    benchmark_duration_secs: positiveSchema.default(300).describe('nsys-time: seconds of traffic in all'),
  })
  .prefault({});
