/** The GPUs that Slurm gave to the agent's step, in the names of their vendor's runtime. */
export interface GivenDevices {
  readonly vendor: 'nvidia' | 'amd';
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * A plan counts GPUs from 0. Slurm may have given other GPUs to the step (numbers 4 to 7 where Slurm does not constrain
 * devices, UUIDs, MIG instances). Then the planned numbers are positions in Slurm's list.
 *
 * On AMD, Slurm sets ROCR_VISIBLE_DEVICES. ROCm applies that variable before HIP_VISIBLE_DEVICES and
 * CUDA_VISIBLE_DEVICES, which count the remaining devices from 0
 * (https://rocm.docs.amd.com/en/latest/conceptual/gpu-isolation.html). vLLM refuses to start when the last two differ.
 *
 * @param env the environment of the process
 * @param planned CUDA_VISIBLE_DEVICES of the process's plan; undefined for a process that has the whole node
 */
export function withDevices(
  env: Readonly<Record<string, string>>,
  planned: string | undefined,
  gpus: readonly number[],
  given: GivenDevices,
): Record<string, string> {
  const isPlanned = isOfPlan(planned, gpus);
  if (given.vendor === 'nvidia') {
    if (!isPlanned) return { ...env };
    return { ...env, CUDA_VISIBLE_DEVICES: places(given.env.CUDA_VISIBLE_DEVICES, gpus) };
  }
  const { ROCR_VISIBLE_DEVICES: rocr, HIP_VISIBLE_DEVICES: hip } = given.env;
  if (planned !== undefined && !isPlanned) return { ...env };
  if (!isPlanned) return rocr === undefined ? { ...env } : without(env, rocr);
  const visible = rocr === undefined ? places(hip ?? given.env.CUDA_VISIBLE_DEVICES, gpus) : gpus.join(',');
  return { ...env, CUDA_VISIBLE_DEVICES: visible, HIP_VISIBLE_DEVICES: visible };
}

/** Values that the recipe itself sets stay unchanged. */
const isOfPlan = (visible: string | undefined, gpus: readonly number[]): boolean =>
  gpus.length > 0 && visible === gpus.join(',');

/** The elements of a list at these positions; the positions themselves when the list is too short. */
function places(list: string | undefined, gpus: readonly number[]): string {
  const names = (list ?? '').split(',').map((name) => name.trim());
  const chosen = gpus.map((gpu) => names[gpu]);
  return chosen.some((name) => name === undefined || name === '') ? gpus.join(',') : chosen.join(',');
}

/** Slurm may set all variables to the same list. Then the second filter would leave no device. */
const without = (env: Readonly<Record<string, string>>, rocr: string): Record<string, string> =>
  Object.fromEntries(
    Object.entries(env).filter(
      ([name, value]) => !/^(CUDA|HIP)_VISIBLE_DEVICES$/.test(name) || value !== rocr,
    ),
  );

/**
 * Words before a command whose devices are known only in its task; none when the plan leaves all devices to the
 * command.
 */
export const devicesInTask = (planned: string | undefined, gpus: readonly number[]): string[] =>
  planned !== undefined && isOfPlan(planned, gpus)
    ? ['/bin/sh', '-c', DEVICES_IN_TASK, 'srtctl-devices', planned]
    : [];

/**
 * The same in the task of an MPI launch or of static mode, because the devices are known only there. Arguments: the
 * planned numbers, then the command.
 */
const DEVICES_IN_TASK = `gpus=$1
shift
choose() {
  chosen=
  for place in $(echo "$gpus" | tr , ' '); do
    name=$(echo "$1," | cut -d , -f $((place + 1)))
    [ -n "$name" ] || { chosen=$gpus; return; }
    chosen=\${chosen:+$chosen,}$name
  done
}
if [ -e /dev/kfd ] && [ ! -e /dev/nvidiactl ]; then
  if [ -n "\${ROCR_VISIBLE_DEVICES:-}" ]; then chosen=$gpus; else choose "\${HIP_VISIBLE_DEVICES:-\${CUDA_VISIBLE_DEVICES:-}}"; fi
  export HIP_VISIBLE_DEVICES="$chosen"
else
  choose "\${CUDA_VISIBLE_DEVICES:-}"
fi
export CUDA_VISIBLE_DEVICES="$chosen"
exec "$@"`;
