// Runs trials in the lab of test/slurm-lab: a real Slurm whose nodes are namespaces of this machine, so that this
// machine sees their processes and directories as it does those of local runs.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const script = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), 'test/slurm-lab/lab.sh');

/** Starts the lab with `count` nodes. `control` is `lab.sh COMMAND …`. */
export function startLab(count) {
  const work = mkdtempSync(join(tmpdir(), 'srtctl-lab-'));
  const directory = join(work, 'lab');
  const control = (...argv) => {
    const { status, stdout, stderr } = spawnSync(script, argv, {
      env: { ...process.env, SRTCTL_LAB_DIR: directory },
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`lab.sh ${argv.join(' ')}: ${stderr}`);
    return stdout;
  };
  const down = () => {
    control('down');
    rmSync(work, { recursive: true, force: true });
  };
  try {
    control('up', String(count));
  } catch (error) {
    down();
    throw error;
  }
  const env = { SLURM_CONF: join(directory, 'slurm.conf') };
  const slurm = (command, ...argv) =>
    spawnSync(command, argv, { env: { ...process.env, ...env }, encoding: 'utf8' }).stdout;
  return {
    nodes: Array.from({ length: count }, (_, index) => `node${index + 1}`),
    env,
    control,
    slurm,
    down,
  };
}
