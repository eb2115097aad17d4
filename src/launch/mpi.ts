import type { MpiLauncher } from '../messages/launch.ts';

/** One MPI launch: a command with so many ranks on some nodes. */
export interface MpiStart {
  readonly launcher: MpiLauncher;
  readonly tasks: number;
  readonly nodes: readonly string[];
  /** Image for pyxis; null where none is to be started. */
  readonly image: string | null;
  /** Name of the step, unique in the job: by it the step is found when it is to be ended. */
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
  readonly argv: readonly string[];
}

/** Slurm tells every task which devices its step has, over what srun was told: all of the job's. */
const SET_BY_SLURM = ['CUDA_VISIBLE_DEVICES', 'NVIDIA_VISIBLE_DEVICES'];

/** The command that starts all ranks, and ends when they have ended. */
export function mpiCommand(start: MpiStart): string[] {
  const { launcher, tasks, nodes, argv } = start;
  if (launcher.kind === 'stand-in')
    return [...launcher.program, String(tasks), nodes.join(','), '--', ...argv];
  const devices = SET_BY_SLURM.flatMap((name) =>
    start.env[name] === undefined ? [] : [`${name}=${start.env[name]}`],
  );
  return [
    ...['srun', ...srunOptions(start, launcher)],
    ...(devices.length > 0 ? ['env', ...devices] : []),
    ...argv,
  ];
}

function srunOptions(
  { tasks, nodes, image, name }: MpiStart,
  { mpi, pyxisMounts, options, components }: Extract<MpiLauncher, { kind: 'srun' }>,
): string[] {
  const component = components.findIndex((names) => nodes.every((node) => names.includes(node)));
  const pyxis: Record<string, string> =
    image === null || pyxisMounts === null
      ? {}
      : {
          'container-image': image,
          ...(pyxisMounts.length > 0 ? { 'container-mounts': pyxisMounts.join(',') } : {}),
          'no-container-entrypoint': '',
          'no-container-mount-home': '',
        };
  const all: Record<string, string> = {
    ...pyxis,
    ...options,
    // Beside the agents, with all that the job has on the nodes.
    mpi,
    overlap: '',
    mem: '0',
    'cpu-bind': 'none',
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
  };
  return Object.entries(all).flatMap(([option, value]) => {
    if (value === 'false') return [];
    return [value === '' || value === 'true' ? `--${option}` : `--${option}=${value}`];
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
