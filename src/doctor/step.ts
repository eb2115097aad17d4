import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { EXIT, SrtctlError } from '../os/errors.ts';
import { BESIDE_OTHERS, optionWords } from '../platform/containers/srun-options.ts';
import { stepEnvironment } from '../platform/containers/step-environment.ts';
import { allocationOf } from '../platform/slurm/allocation.ts';
import type { World } from './world.ts';

const KILL_MS = 5_000;
const WORDS = 400;

/** Options that sbatch and srun share and that decide whether the job may have the nodes. */
const PASSED_ON = new Set(['qos', 'reservation', 'constraint', 'mem']);

/** How srun is run. */
interface Step {
  readonly env: NodeJS.ProcessEnv;
  /** Further variables of the command. */
  readonly own?: Readonly<Record<string, string>>;
  readonly limitMs: number;
  readonly take: (line: string) => void;
}

/** Inside an allocation, a step beside the running ones; else a job of its own. */
export function stepArgs(
  { cluster, wanted, env }: World,
  nodes: readonly string[],
  { waitS, minutes }: { readonly waitS: number; readonly minutes: number },
): string[] {
  const place = [
    `--nodes=${nodes.length}`,
    `--ntasks=${nodes.length}`,
    '--ntasks-per-node=1',
    `--nodelist=${nodes.join(',')}`,
  ];
  const always = [
    ...['--job-name=srtctl-doctor', '--mpi=none', '--wait=0', '--kill-on-bad-exit=0'],
    ...['--no-kill', '--input=none', '--quiet'],
  ];
  if (allocationOf(env)) return [...optionWords(BESIDE_OTHERS), ...place, ...always];
  const further = Object.entries(cluster.default_sbatch_directives ?? {}).filter(([name]) =>
    PASSED_ON.has(name),
  );
  return [
    ...place,
    ...always,
    `--time=${minutes}`,
    `--immediate=${waitS}`,
    ...(wanted.partition ? [`--partition=${wanted.partition}`] : []),
    ...(cluster.default_account ? [`--account=${cluster.default_account}`] : []),
    ...(cluster.use_gpus_per_node_directive && wanted.gpus ? [`--gpus-per-node=${wanted.gpus}`] : []),
    ...further.map(([name, value]) => (value === '' ? `--${name}` : `--${name}=${value}`)),
  ];
}

/** Runs srun and passes its lines on. Resolves with srun's own last error, for people. */
export async function runStep(
  args: readonly string[],
  { env, own = {}, limitMs, take }: Step,
): Promise<string> {
  const child = spawn('srun', args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    env: { ...stepEnvironment(env), ...own },
  });
  let said = '';
  createInterface({ input: child.stdout }).on('line', take);
  child.stderr.on('data', (data: Buffer) => {
    said = (said + data.toString()).slice(-WORDS);
  });
  let asked: number | undefined;
  const end = (): void => {
    child.kill('SIGTERM');
    setTimeout(() => child.kill('SIGKILL'), KILL_MS).unref();
  };
  const stop = (exitCode: number) => () => {
    asked = exitCode;
    end();
  };
  const [onInterrupt, onTerminate] = [stop(EXIT.interrupted), stop(EXIT.terminated)];
  process.on('SIGINT', onInterrupt);
  process.on('SIGTERM', onTerminate);
  const timer = setTimeout(() => {
    said += ' timed out';
    end();
  }, limitMs);
  try {
    await new Promise<void>((resolve) => {
      child.once('close', () => resolve());
      child.once('error', (error) => {
        said = error.message;
        resolve();
      });
    });
  } finally {
    clearTimeout(timer);
    process.off('SIGINT', onInterrupt);
    process.off('SIGTERM', onTerminate);
  }
  if (asked !== undefined) throw new SrtctlError('stopped', 'stopped', { exitCode: asked });
  return said
    .split('\n')
    .map((line) => line.replace(/^srun: (error: )?/, '').trim())
    .filter((line) => line !== '')
    .join('; ');
}
