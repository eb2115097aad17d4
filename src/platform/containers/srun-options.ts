/** Options of srun(1) by name: `''` or `true` for an option without a value, `false` for an option that is left out. */
export type SrunOptions = Readonly<Record<string, string>>;

/**
 * For every step of a job: the step shares the job's resources on the node with the batch script and the other steps.
 */
export const BESIDE_OTHERS = { overlap: '', mem: '0', 'cpu-bind': 'none' } as const;

/** For a step whose tasks are independent: a node or a task that ends does not end the others. */
export const INDEPENDENT_TASKS = { ...BESIDE_OTHERS, input: 'none', 'no-kill': '', wait: '0' } as const;

/**
 * Options of pyxis for a container. `variables`: the variables that the image must not overwrite; without
 * --container-env it would.
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
