import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Fatal } from '../common/fatal.ts';

/** Replaces srun on one machine: starts every task with its rank, and ends them all when one fails. */
export async function runTasks([tasks = '', nodeList = '', , ...argv]: readonly string[]): Promise<void> {
  const count = Number(tasks);
  const nodes = nodeList.split(',');
  const [command, ...args] = argv;
  if (!Number.isInteger(count) || count < 1 || command === undefined)
    throw new Fatal('usage: mpi-stand-in TASKS NODES -- COMMAND…', { exitCode: 2 });
  const perNode = Math.ceil(count / nodes.length);
  // Slurm signals all processes of a step. After a signal to the whole group the tasks have received it
  // already.
  let isAsked = false;
  process.on('SIGTERM', () => {
    if (isAsked || !leadsItsGroup()) return;
    isAsked = true;
    process.kill(0, 'SIGTERM');
  });
  const children = Array.from({ length: count }, (_, rank) =>
    spawn(command, args, {
      stdio: 'inherit',
      env: {
        ...process.env,
        SLURM_PROCID: String(rank),
        SLURM_LOCALID: String(rank % perNode),
        SLURM_NODEID: String(Math.floor(rank / perNode)),
        SLURM_NTASKS: String(count),
        SLURM_STEP_NODELIST: nodeList,
      },
    }),
  );
  let failed: number | undefined;
  const ends = children.map(
    (child, rank) =>
      new Promise<void>((resolve) => {
        const over = (what: string, exitCode: number): void => {
          if (exitCode !== 0 && failed === undefined) {
            failed = exitCode;
            process.stderr.write(`mpi-stand-in: task ${rank}: ${what}\n`);
            for (const other of children) other.kill('SIGKILL');
          }
          resolve();
        };
        child.once('error', (error) => over(error.message, 127));
        child.once('exit', (code, signal) =>
          over(`ended with ${signal ?? `exit code ${code}`}`, code ?? 137),
        );
      }),
  );
  await Promise.all(ends);
  process.exit(failed ?? 0);
}

/** Without a group of its own, this process's group contains more than the tasks. */
const leadsItsGroup = (): boolean =>
  readFileSync('/proc/self/stat', 'latin1').split(') ').at(-1)?.split(' ')[2] === String(process.pid);
