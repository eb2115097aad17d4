import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { AgentConfig } from '../../messages/job-directory/job-files.ts';
import type { ProcessSpec } from '../../messages/spec/process-spec.ts';
import { isOwnDirectory } from '../../os/files/own-directory.ts';
import { makePrivateDirectory } from '../../os/files/private-files.ts';
import { shellQuote } from '../../os/quote.ts';
import {
  containerCommand,
  containerEnvironment,
  containerKill,
} from '../../platform/containers/container.ts';
import { type GivenDevices, withDevices } from '../../platform/containers/devices.ts';
import { mpiCommand, mpiSignal } from '../../platform/containers/mpi.ts';
import { stepEnvironment } from '../../platform/containers/step-environment.ts';
import { withoutTask } from '../../platform/containers/task-environment.ts';

/** The command that is actually spawned for a process. */
export interface Launched {
  readonly argv: string[];
  readonly cwd: string | undefined;
  readonly env: Record<string, string>;
  /**
   * Set only where a part of the process is outside of its process group: under a daemon, or on other nodes.
   */
  readonly beyond?: Beyond | undefined;
}

export interface Beyond {
  /** Asks that part to end; false when the process group must be signalled instead. */
  terminate(): Promise<boolean>;
  /** Ends it at once. Harmless when it has ended. */
  kill(): Promise<void>;
  /** It has ended: no cleanup is necessary any more. */
  over(): void;
}

export interface Locks {
  readonly soft: bigint;
  readonly hard: bigint;
}

export interface CommandBuilder {
  /** `mark` is unique to this start of the process; `locks` is the limit that serves as its owner's mark. */
  launch(spec: ProcessSpec, env: Record<string, string>, mark: string, locks?: Locks): Launched;
  /**
   * Ends all parts outside of process groups, of all processes, at once; for the last moments of the agent.
   */
  killAllSync(): void;
}

const KILL_MS = 15_000;
/** Variables that a container gets besides those of its process; others only concern the host. */
const HANDED_ON =
  /^(SRTCTL_|SLURM_|HF_|HUGGING_FACE_|NCCL_|UCX_|(CUDA|HIP|ROCR)_VISIBLE_|USER$|LOGNAME$|\w+_proxy$)/i;
/** Variables that locate commands and their daemons. */
const OF_COMMANDS = /^(PATH|HOME|SLURM_CONF|DOCKER_(HOST|CONTEXT|CONFIG)|CONTAINER_HOST|XDG_RUNTIME_DIR)$/;
const RDMA = '/dev/infiniband';

type Options = Pick<AgentConfig, 'containers' | 'mpi' | 'stopDir' | 'path'> & {
  readonly distDir: string;
  /** Distinguishes this agent from an earlier one on the same node. */
  readonly incarnation: string;
  /** By default those of the agent's own environment. */
  readonly devices?: GivenDevices;
};

/**
 * Builds the command lines of processes: on the host, in containers of their own, or as ranks of an MPI launch, according
 * to the agent's config.
 */
export function createCommandBuilder(options: Options): CommandBuilder {
  const { containers, mpi, stopDir, path, distDir } = options;
  const suffix = options.incarnation.slice(0, 8);
  const devices = options.devices ?? { vendor: vendorOfNode(), env: process.env };
  let starts = 0;

  function inContainer(
    spec: ProcessSpec,
    env: Record<string, string>,
    name: string,
    locks?: Locks,
  ): Launched {
    const { image, cwd } = spec;
    if (!containers || image === null) return { argv: [...spec.argv], cwd, env };
    const names = Object.keys(env).filter((key) => key in spec.env || HANDED_ON.test(key));
    const argv = containerCommand({
      ...containers,
      image,
      name,
      variables: names.sort(),
      gpus: spec.gpus.length > 0 || spec.seesGpus === true,
      cwd,
      user: { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 },
      locks,
      devices: existsSync(RDMA) ? [RDMA] : [],
      distDir,
      argv: withPath(spec.argv, path?.prepend ?? []),
    });
    const kill = containerKill(containers.runtime, name);
    return {
      argv,
      cwd: undefined,
      env: containerEnvironment(containers.runtime, env, Object.keys(spec.env)),
      beyond: kill && beyond({ kill, terminate: undefined }),
    };
  }

  function asRanks(spec: ProcessSpec, env: Record<string, string>, name: string, locks?: Locks): Launched {
    const { argv, cwd, env: inner, beyond: container } = inContainer(spec, env, name, locks);
    if (!spec.mpi) return { argv, cwd, env: inner, beyond: container };
    if (!mpi) throw new Error('this agent cannot start the ranks of an MPI launch');
    return {
      argv: mpiCommand({
        launcher: mpi,
        ...spec.mpi,
        options: spec.srunOptions ?? {},
        image: containers ? null : spec.image,
        name,
        env: spec.env,
        gpus: spec.gpus,
        distDir,
        argv,
      }),
      cwd,
      env: stepEnvironment(inner, spec.env),
      beyond: beyond({
        kill: mpiSignal(mpi, 'KILL', name, distDir),
        terminate: mpiSignal(mpi, 'TERM', name, distDir),
      }),
    };
  }

  function beyond(by: {
    readonly kill: string[] | undefined;
    readonly terminate: string[] | undefined;
  }): Beyond | undefined {
    const { kill, terminate } = by;
    if (!kill) return undefined;
    // The guard runs the scripts in this directory when the agent was killed.
    const file = stopDir === undefined ? undefined : join(stopDir, `${++starts}.sh`);
    if (stopDir !== undefined && file !== undefined) {
      // Private, because other users can foresee its name and the guard runs the scripts in it.
      makePrivateDirectory(stopDir);
      writeFileSync(file, script(kill), { mode: 0o600, flag: 'wx' });
    }
    return {
      terminate: async () => terminate !== undefined && (await run(terminate)) === 0,
      kill: async () => void (await run(kill)),
      over: () => void (file !== undefined && rmSync(file, { force: true })),
    };
  }

  return {
    launch(spec, env, mark, locks) {
      const own = withoutTask(env, spec, spec.env);
      // Ranks get their devices on their own nodes.
      const seen = spec.mpi ? own : withDevices(own, spec.env, spec.gpus, devices);
      return asRanks(spec, seen, `srtctl-${mark.replaceAll(/[^\w.-]+/g, '-')}-${suffix}`, locks);
    },
    killAllSync(): void {
      if (stopDir === undefined || !isOwnDirectory(stopDir)) return;
      const scripts = readdirSync(stopDir).map((name) => join(stopDir, name));
      if (scripts.length === 0) return;
      const all = 'for script; do /bin/sh "$script" & done; wait';
      spawnSync('/bin/sh', ['-c', all, 'sh', ...scripts], { stdio: 'ignore', timeout: KILL_MS });
    },
  };
}

/** ROCm's devices are behind /dev/kfd, and those of CUDA behind /dev/nvidiactl. */
const vendorOfNode = (): GivenDevices['vendor'] =>
  existsSync('/dev/kfd') && !existsSync('/dev/nvidiactl') ? 'amd' : 'nvidia';

/**
 * The guard's environment is almost empty, so the script sets the agent's variables that the command needs.
 */
function script(command: readonly string[]): string {
  const needed = Object.entries(process.env).filter(([name]) => OF_COMMANDS.test(name));
  const set = needed.map(([name, value = '']) => `export ${name}=${shellQuote(value)}`);
  return `${[...set, `exec ${command.map(shellQuote).join(' ')}`].join('\n')}\n`;
}

/**
 * An image has its own PATH; the agent's first directories are put in front of it (the simulator's
 * stand-ins).
 */
function withPath(argv: readonly string[], prepend: readonly string[]): string[] {
  if (prepend.length === 0) return [...argv];
  return ['/bin/sh', '-c', 'PATH="$0:$PATH" exec "$@"', prepend.join(delimiter), ...argv];
}

/** Exit code; null when it could not be started or took too long. */
function run([command = '', ...args]: readonly string[]): Promise<number | null> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: 'ignore', timeout: KILL_MS });
    child.once('error', () => resolve(null));
    child.once('exit', (code) => resolve(code));
  });
}
