import type { ProcessRuntime } from '../../messages/spec/launch-settings.ts';

/** One container around one command. */
export interface ContainerStart {
  readonly runtime: ProcessRuntime;
  readonly image: string;
  /** `host:container[:flags]`. */
  readonly mounts: readonly string[];
  readonly home: string;
  /** Unique among the containers of a node. */
  readonly name: string;
  /** Names of the variables that the command gets. The values come from the runtime's own environment. */
  readonly variables: readonly string[];
  /** false: the command sees no GPU. */
  readonly gpus: boolean;
  readonly cwd?: string | undefined;
  /** Owner of the files that the process writes. */
  readonly user: { readonly uid: number; readonly gid: number };
  /** Device files besides the GPUs (RDMA). */
  readonly devices: readonly string[];
  /**
   * Soft and hard limit of file locks: the owner's mark (owner-mark.ts), because a container daemon does not pass it
   * on.
   */
  readonly locks?: { readonly soft: bigint; readonly hard: bigint } | undefined;
  /** Directory of srtctl's bundled programs. */
  readonly distDir: string;
  readonly argv: readonly string[];
}

interface Mount {
  readonly from: string;
  readonly to: string;
  readonly flags: readonly string[];
}

/**
 * The command that runs another command in a container, with the host's network, IPC and limits and without the image's
 * entrypoint. Its argv contains no values of variables.
 */
export function containerCommand(start: ContainerStart): string[] {
  return [...commands[start.runtime](start), ...start.argv];
}

/**
 * The command that ends a container outside of its command's process group; undefined when the container is in the
 * group.
 */
export function containerKill(runtime: ProcessRuntime, name: string): string[] | undefined {
  return runtime === 'docker' || runtime === 'podman' ? [runtime, 'rm', '--force', name] : undefined;
}

/** Environment variables of the runtime itself. */
export function containerEnvironment(
  runtime: ProcessRuntime,
  env: Readonly<Record<string, string>>,
  names: readonly string[],
): Record<string, string> {
  if (runtime !== 'apptainer') return { ...env };
  // apptainer passes its environment on, but variables of the image would override it.
  const own = names.map((name): [string, string] => [`APPTAINERENV_${name}`, env[name] ?? '']);
  return { ...env, ...Object.fromEntries(own) };
}

const commands: Readonly<Record<ProcessRuntime, (start: ContainerStart) => string[]>> = {
  apptainer: ({ image, mounts, home, gpus, cwd }) => [
    ...['apptainer', 'exec', ...(gpus ? ['--nv'] : [])],
    // Steps install programs in the image. The changes are lost when the process ends.
    '--writable-tmpfs',
    ...['--home', home],
    ...mounts.flatMap((mount) => ['--bind', mount.replaceAll('+', ',')]),
    ...(cwd === undefined ? [] : ['--pwd', cwd]),
    isFile(image) || image.includes('://') ? image : `docker://${registryName(image)}`,
  ],

  enroot: ({ image, mounts, variables, gpus, cwd, distDir }) => [
    ...['enroot', 'start', '--root', '--rw'],
    // Replaces the image's entrypoint.
    ...['--rc', `${distDir}/steps/run-command.sh`],
    ...mounts
      .map(parsed)
      .flatMap(({ from, to, flags }) => [
        '--mount',
        `${from}:${to}:${['x-create=auto', 'rbind', ...flags].join(',')}`,
      ]),
    ...variables.flatMap((name) => ['--env', name]),
    ...['--env', `NVIDIA_VISIBLE_DEVICES=${gpus ? 'all' : 'void'}`],
    ...(gpus ? ['--env', 'NVIDIA_DRIVER_CAPABILITIES=compute,utility'] : []),
    image,
    // enroot has no option for the working directory.
    ...(cwd === undefined ? [] : ['/bin/sh', '-c', 'cd "$0" && exec "$@"', cwd]),
  ],

  docker: (start) => [
    ...['docker', 'run', ...engineOptions(start)],
    ...(start.gpus ? ['--gpus', 'all'] : []),
    // Without this option the process runs as root, and leaves files of root in the job's directory.
    ...['--user', `${start.user.uid}:${start.user.gid}`, '--env', `HOME=${start.home}`],
    ...entrypoint(start),
  ],

  podman: (start) => [
    ...['podman', 'run', ...engineOptions(start)],
    ...['--security-opt', 'label=disable', '--pids-limit', '-1'],
    ...(start.gpus ? ['--device', 'nvidia.com/gpu=all'] : []),
    // In rootless podman the user is root inside the container.
    ...(start.user.uid === 0 ? [] : ['--env', 'HOME=/root']),
    ...entrypoint(start),
  ],
};

/** Options that docker and podman share. */
function engineOptions({ name, mounts, variables, devices, cwd, locks }: ContainerStart): string[] {
  return [
    // An init process, which forwards signals and reaps the orphans of engines.
    ...['--rm', '--init', '--name', name, '--pull', 'missing'],
    ...['--network', 'host', '--ipc', 'host'],
    // RDMA registers memory, and Python's threads have large stacks.
    ...['--ulimit', 'memlock=-1', '--ulimit', 'stack=67108864', '--cap-add', 'SYS_NICE'],
    ...(locks ? ['--ulimit', `locks=${locks.soft}:${locks.hard}`] : []),
    ...devices.flatMap((device) => ['--device', device]),
    ...mounts.map(parsed).flatMap((mount) => ['--mount', bindMount(mount)]),
    ...variables.flatMap((variable) => ['--env', variable]),
    ...(cwd === undefined ? [] : ['--workdir', cwd]),
  ];
}

/** No entrypoint, because the image's own entrypoint would precede the command. */
const entrypoint = ({ image }: ContainerStart): string[] => ['--entrypoint', '', registryName(image)];

/** A `--mount` value in CSV. Unlike `--volume`, `--mount` does not create missing directories. */
function bindMount({ from, to, flags }: Mount): string {
  const options = flags.flatMap((flag) =>
    flag === 'ro'
      ? ['readonly']
      : /^r?(private|shared|slave)$/.test(flag)
        ? [`bind-propagation=${flag}`]
        : [],
  );
  return ['type=bind', `source=${from}`, `target=${to}`, ...options].map(csv).join(',');
}

const csv = (field: string): string => (/[",\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field);

function parsed(mount: string): Mount {
  const [from = '', to = from, flags = ''] = mount.split(':');
  return { from, to, flags: flags.split(/[,+]/).filter((flag) => flag !== '' && flag !== 'rw') };
}

/** pyxis writes `registry#path:tag`, all other runtimes `registry/path:tag`. */
const registryName = (image: string): string => image.replace(/^docker:\/\//, '').replace('#', '/');

const isFile = (image: string): boolean => image.startsWith('/') || image.startsWith('.');
