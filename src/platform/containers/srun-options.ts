/** Options of srun(1) by name: `''` or `true` as the value of one that has none, `false` for one that is left out. */
export type SrunOptions = Readonly<Record<string, string>>;

/** For every step of a job: beside the batch script and the other steps, with all that the job has on the node. */
export const BESIDE_OTHERS = { overlap: '', mem: '0', 'cpu-bind': 'none' } as const;

/** The same for a step whose tasks are not parts of one program: a node, or a task, that ends does not take the others with it. */
export const INDEPENDENT_TASKS = { ...BESIDE_OTHERS, input: 'none', 'no-kill': '', wait: '0' } as const;

/**
 * What pyxis is told of a container. `variables`: those that an image must not overwrite with its own, as it would
 * without --container-env.
 */
export const pyxisOptions = (
  image: string,
  mounts: readonly string[],
  variables: readonly string[] = [],
): SrunOptions => ({
  'container-image': image,
  ...(mounts.length > 0 ? { 'container-mounts': mounts.join(',') } : {}),
  ...(variables.length > 0 ? { 'container-env': variables.join(',') } : {}),
  'no-container-entrypoint': '',
  'no-container-mount-home': '',
});

/** Options as words of a command. */
export const optionWords = (options: SrunOptions): string[] =>
  Object.entries(options).flatMap(([name, value]) => {
    if (value === 'false') return [];
    return [value === '' || value === 'true' ? `--${name}` : `--${name}=${value}`];
  });
