import * as z from 'zod';

/**
 * Container runtimes that start a container for each process; with pyxis Slurm starts one around the agent.
 */
export const processRuntimeSchema = z.enum(['apptainer', 'enroot', 'docker', 'podman']);
export type ProcessRuntime = z.infer<typeof processRuntimeSchema>;

/** How an agent on a bare host starts commands with an image. */
export const processContainersSchema = z.object({
  runtime: processRuntimeSchema,
  /** `host:container[:flags]`, in mount order. */
  mounts: z.array(z.string()),
  /** HOME in a container without one: a directory of the job on each node. */
  home: z.string(),
});
export type ProcessContainers = z.infer<typeof processContainersSchema>;

/** How an agent starts the ranks of an MPI launch. */
export const mpiLauncherSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('srun'),
    /** The value of `srun --mpi`, which connects the ranks. */
    mpi: z.string(),
    /** Mounts of the container that pyxis starts around the ranks; null where it starts none. */
    pyxisMounts: z.array(z.string()).nullable(),
    /** `srun_options` of the recipe. */
    options: z.record(z.string(), z.string()),
    /** Nodes of each component of a heterogeneous job; otherwise one list. */
    components: z.array(z.array(z.string())),
  }),
  /** Starts all ranks on this machine. */
  z.object({ kind: z.literal('stand-in'), program: z.array(z.string()).min(1) }),
]);
export type MpiLauncher = z.infer<typeof mpiLauncherSchema>;
