import type { MpiLauncher } from '../../messages/spec/launch-settings.ts';
import { markedByItself } from '../../os/processes/owner-mark.ts';
import { devicesInTask } from './devices.ts';
import { BESIDE_OTHERS, optionWords, pyxisOptions, type SrunOptions } from './srun-options.ts';

/** One MPI launch: a command with several ranks on some nodes. */
export interface MpiStart {
  readonly launcher: MpiLauncher;
  readonly tasks: number;
  readonly nodes: readonly string[];
  /** Options of srun beside those of the launcher. */
  readonly options?: SrunOptions;
  /** Image for pyxis; null without a container. */
  readonly image: string | null;
  /** Name of the step, unique in the job. srtctl finds the step by this name when it has to stop the step. */
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
  /** GPUs of the launch's first node, in the plan's numbering. */
  readonly gpus: readonly number[];
  /** Directory of srtctl's bundled programs, by the path that the ranks see. */
  readonly distDir: string;
  readonly argv: readonly string[];
}

const SET_BY_SLURM = ['CUDA_VISIBLE_DEVICES', 'NVIDIA_VISIBLE_DEVICES'];

/** The command that starts all ranks, and ends when the ranks have ended. */
export function mpiCommand(start: MpiStart): string[] {
  const { launcher, tasks, nodes } = start;
  const argv = endingWithServer(start.argv, start.distDir);
  if (launcher.kind === 'stand-in')
    return [...launcher.program, String(tasks), nodes.join(','), '--', ...argv];
  // Slurm sets limits for its tasks, so each task must set the mark itself.
  return [...['srun', ...srunOptions(start, launcher)], ...markedByItself([...withDevices(start), ...argv])];
}

/**
 * Slurm sets the devices of every task to those of its step, which are all devices of the job on the node. This
 * overrides srun's environment.
 */
function withDevices({ env, gpus }: MpiStart): string[] {
  const chosen = devicesInTask(env, gpus);
  const fixed = SET_BY_SLURM.flatMap((name) =>
    env[name] === undefined || (name === 'CUDA_VISIBLE_DEVICES' && chosen.length > 0)
      ? []
      : [`${name}=${env[name]}`],
  );
  return [...(fixed.length > 0 ? ['env', '--', ...fixed] : []), ...chosen];
}

/**
 * TensorRT-LLM's launcher runs the rest of its command line, the server, in the background of rank 0, beside the leader
 * of the other ranks. When the server dies, nothing ends the launcher and the ranks (trtllm-llmapi-launch 1.2: `set -e`
 * leaves its subshell before the line that stops them). So a script starts the server, and ends the launcher.
 */
const RANK_0_LAUNCHER = 'trtllm-llmapi-launch';

export function endingWithServer(argv: readonly string[], distDir: string): string[] {
  const at = argv.indexOf(RANK_0_LAUNCHER) + 1;
  // The launcher splits its command at blanks.
  if (at === 0 || /\s/.test(distDir)) return [...argv];
  return [...argv.slice(0, at), '/bin/sh', `${distDir}/steps/end-with-server.sh`, ...argv.slice(at)];
}

function srunOptions(
  { tasks, nodes, gpus, image, name, options: own = {} }: MpiStart,
  { mpi, pyxisMounts, options, components }: Extract<MpiLauncher, { kind: 'srun' }>,
): string[] {
  const each = tasksEach(tasks, nodes, gpus);
  const component = components.findIndex((names) => nodes.every((node) => names.includes(node)));
  return optionWords({
    ...(image === null || pyxisMounts === null ? {} : pyxisOptions(image, pyxisMounts)),
    ...options,
    ...own,
    // Simulated ranks do not communicate.
    mpi: mpi === 'none' ? mpi : (own.mpi ?? mpi),
    ...BESIDE_OTHERS,
    ...(components.length > 1 && component >= 0 ? { 'het-group': `${component}` } : {}),
    nodes: `${nodes.length}`,
    ntasks: `${tasks}`,
    'ntasks-per-node': `${each}`,
    // By itself Slurm may distribute them evenly.
    ...(each * nodes.length > tasks ? { distribution: `plane=${each}` } : {}),
    nodelist: nodes.join(','),
    // When one rank ends, srun ends all ranks.
    'kill-on-bad-exit': '1',
    wait: '15',
    input: 'none',
    'job-name': name,
  });
}

/** Tasks of each node but the last one, which may have fewer: a task for each GPU. */
export const tasksEach = (tasks: number, nodes: readonly unknown[], gpus: readonly unknown[]): number =>
  Math.max(Math.ceil(tasks / nodes.length), Math.min(tasks, gpus.length));

/**
 * Signals the ranks of a launch on all nodes, because srun itself kills the ranks without a grace (on TERM) or leaves
 * them running (on KILL). undefined when the ranks are in the process group of the command.
 */
export function mpiSignal(
  launcher: MpiLauncher,
  signal: 'TERM' | 'KILL',
  name: string,
  distDir: string,
): string[] | undefined {
  return launcher.kind === 'srun' ? ['/bin/sh', `${distDir}/steps/signal-step.sh`, signal, name] : undefined;
}
