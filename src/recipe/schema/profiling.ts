import * as z from 'zod';
import { countSchema, positiveSchema } from '../values/values.ts';

const steps = (mode: string) =>
  z
    .strictObject({
      start_step: countSchema.nullish().describe('step of the engine at which profiling starts'),
      stop_step: countSchema.nullish().describe('step at which it stops'),
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
    prefill: steps('prefill'),
    decode: steps('decode'),
    aggregated: steps('aggregated'),
    delay_secs: countSchema.nullish().describe('nsys-time: seconds from start to capture'),
    duration_secs: positiveSchema.nullish().describe('nsys-time: seconds of the capture'),
    benchmark_duration_secs: positiveSchema.default(300).describe('nsys-time: seconds of traffic in all'),
  })
  .prefault({});
