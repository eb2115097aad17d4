import type { MpiLauncher } from '../../messages/spec/launch-settings.ts';
import { markedByItself } from '../../os/processes/owner-mark.ts';
import { devicesInTask } from './devices.ts';
import { BESIDE_OTHERS, optionWords, pyxisOptions } from './srun-options.ts';

/** One MPI launch: a command with a number of ranks on some nodes. */
export interface MpiStart {
  readonly launcher: MpiLauncher;
  readonly tasks: number;
  readonly nodes: readonly string[];
  /** Image for pyxis; null without a container. */
  readonly image: string | null;
  /** Name of the step, unique in the job: the step is found by it when it must be stopped. */
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
  /** GPUs of its first node, in the plan's numbering. */
  readonly gpus: readonly number[];
  /** Directory of srtctl's bundled programs, as the ranks see it. */
  readonly distDir: string;
  readonly argv: readonly string[];
}

const SET_BY_SLURM = ['CUDA_VISIBLE_DEVICES', 'NVIDIA_VISIBLE_DEVICES'];

/** The command that starts all ranks, and ends when they have ended. */
export function mpiCommand(start: MpiStart): string[] {
  const { launcher, tasks, nodes } = start;
  const argv = endingWithServer(start.argv, start.distDir);
  if (launcher.kind === 'stand-in')
    return [...launcher.program, String(tasks), nodes.join(','), '--', ...argv];
  // Slurm gives its tasks limits of their own, so each task must set the mark itself.
  return [...['srun', ...srunOptions(start, launcher)], ...markedByItself([...withDevices(start), ...argv])];
}

/**
 * Slurm sets the devices of every task to those of its step, overriding srun's environment: all devices of
 * the job on the node.
 */
function withDevices({ env, gpus }: MpiStart): string[] {
  const chosen = devicesInTask(env.CUDA_VISIBLE_DEVICES, gpus);
  const fixed = SET_BY_SLURM.flatMap((name) =>
    env[name] === undefined || (name === 'CUDA_VISIBLE_DEVICES' && chosen.length > 0)
      ? []
      : [`${name}=${env[name]}`],
  );
  return [...(fixed.length > 0 ? ['env', '--', ...fixed] : []), ...chosen];
}

/**
 * TensorRT-LLM's launcher runs the rest of its command line in the background of rank 0, beside the process that the
 * other ranks serve. When that server dies nothing ends the launcher and the ranks (trtllm-llmapi-launch 1.2: `set -e`
 * leaves its subshell before the line that stops them), so the server is started by a script that does.
 */
const RANK_0_LAUNCHER = 'trtllm-llmapi-launch';

export function endingWithServer(argv: readonly string[], distDir: string): string[] {
  const at = argv.indexOf(RANK_0_LAUNCHER) + 1;
  // The launcher splits what it runs at blanks.
  if (at === 0 || /\s/.test(distDir)) return [...argv];
  return [...argv.slice(0, at), '/bin/sh', `${distDir}/steps/end-with-server.sh`, ...argv.slice(at)];
}

function srunOptions(
  { tasks, nodes, image, name }: MpiStart,
  { mpi, pyxisMounts, options, components }: Extract<MpiLauncher, { kind: 'srun' }>,
): string[] {
  const component = components.findIndex((names) => nodes.every((node) => names.includes(node)));
  return optionWords({
    ...(image === null || pyxisMounts === null ? {} : pyxisOptions(image, pyxisMounts)),
    ...options,
    mpi,
    ...BESIDE_OTHERS,
    ...(components.length > 1 && component >= 0 ? { 'het-group': `${component}` } : {}),
    nodes: `${nodes.length}`,
    ntasks: `${tasks}`,
    'ntasks-per-node': `${Math.ceil(tasks / nodes.length)}`,
    nodelist: nodes.join(','),
    // Ranks live and die together.
    'kill-on-bad-exit': '1',
    wait: '15',
    input: 'none',
    'job-name': name,
  });
}

/**
 * Signals the ranks of a launch, wherever they are: srun itself, told to end, kills them without a grace (TERM) or
 * leaves them alone (KILL). undefined where the ranks are in the process group of the command.
 */
export function mpiSignal(
  launcher: MpiLauncher,
  signal: 'TERM' | 'KILL',
  name: string,
  distDir: string,
): string[] | undefined {
  return launcher.kind === 'srun' ? ['/bin/sh', `${distDir}/steps/signal-step.sh`, signal, name] : undefined;
}
