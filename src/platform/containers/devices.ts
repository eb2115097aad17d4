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
 * A cluster may choose ROCR_VISIBLE_DEVICES or HIP_VISIBLE_DEVICES for the plan (visible_devices_env of srtslurm.yaml). Then
 * it is the only mask: a second one would count the devices that the first one leaves.
 *
 * @param env the environment of the process
 * @param planned the variables of the process's plan
 */
export function withDevices(
  env: Readonly<Record<string, string>>,
  plan: Readonly<Record<string, string>>,
  gpus: readonly number[],
  given: GivenDevices,
): Record<string, string> {
  const mask = AMD_MASKS.find((name) => isOfPlan(plan[name], gpus));
  if (mask !== undefined) {
    const list = [mask, ...MASKS].map((name) => given.env[name]).find((names) => names !== undefined);
    return withOneMask(env, plan, { mask, visible: places(list, gpus) });
  }
  const { CUDA_VISIBLE_DEVICES: planned } = plan;
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

const AMD_MASKS = ['ROCR_VISIBLE_DEVICES', 'HIP_VISIBLE_DEVICES'] as const;
const MASKS = [...AMD_MASKS, 'CUDA_VISIBLE_DEVICES', 'GPU_DEVICE_ORDINAL'];

/** Leaves out the masks that Slurm set; those of the recipe stay. */
function withOneMask(
  env: Readonly<Record<string, string>>,
  plan: Readonly<Record<string, string>>,
  { mask, visible }: { readonly mask: string; readonly visible: string },
): Record<string, string> {
  const kept = Object.entries(env).filter(([name]) => !MASKS.includes(name) || name in plan);
  return { ...Object.fromEntries(kept), [mask]: visible };
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
export function devicesInTask(plan: Readonly<Record<string, string>>, gpus: readonly number[]): string[] {
  const mask = maskOf(plan, gpus);
  if (mask === undefined) return [];
  const planned = mask === 'CUDA_VISIBLE_DEVICES' ? gpus.join(',') : `${mask}=${gpus.join(',')}`;
  return ['/bin/sh', '-c', DEVICES_IN_TASK, 'srtctl-devices', planned];
}

/** The variable of the plan that chooses the devices of a process, which its task sets instead. */
export const maskOf = (plan: Readonly<Record<string, string>>, gpus: readonly number[]): string | undefined =>
  [...AMD_MASKS, 'CUDA_VISIBLE_DEVICES'].find((name) => isOfPlan(plan[name], gpus));

/**
 * The same in the task of an MPI launch or of static mode, because the devices are known only there. Arguments: the
 * planned numbers, with the name of the variable where it is not CUDA_VISIBLE_DEVICES, then the command.
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
case $gpus in
  *=*)
    mask=\${gpus%%=*} gpus=\${gpus#*=}
    eval "given=\\\${$mask:-}"
    choose "\${given:-\${ROCR_VISIBLE_DEVICES:-\${HIP_VISIBLE_DEVICES:-\${CUDA_VISIBLE_DEVICES:-}}}}"
    unset ROCR_VISIBLE_DEVICES HIP_VISIBLE_DEVICES CUDA_VISIBLE_DEVICES GPU_DEVICE_ORDINAL
    export "$mask=$chosen"
    exec "$@"
    ;;
esac
if [ -e /dev/kfd ] && [ ! -e /dev/nvidiactl ]; then
  if [ -n "\${ROCR_VISIBLE_DEVICES:-}" ]; then chosen=$gpus; else choose "\${HIP_VISIBLE_DEVICES:-\${CUDA_VISIBLE_DEVICES:-}}"; fi
  export HIP_VISIBLE_DEVICES="$chosen"
else
  choose "\${CUDA_VISIBLE_DEVICES:-}"
fi
export CUDA_VISIBLE_DEVICES="$chosen"
exec "$@"`;
