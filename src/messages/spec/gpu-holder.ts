import * as z from 'zod';

/** A process outside of this job that has memory on a GPU of a node. */
export const gpuHolderSchema = z.object({
  /** Index of the GPU on the node. */
  gpu: z.number().int().nonnegative(),
  pid: z.number().int(),
  program: z.string(),
  user: z.string(),
  memoryMiB: z.number().nullable(),
});
export type GpuHolder = z.infer<typeof gpuHolderSchema>;
