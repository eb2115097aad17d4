import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { EXIT, SrtctlError } from '../os/errors.ts';
import { BESIDE_OTHERS, optionWords } from '../platform/containers/srun-options.ts';
import { stepEnvironment } from '../platform/containers/step-environment.ts';
import { runtimesOf } from '../platform/runtimes.ts';
import { allocationOf } from '../platform/slurm/allocation.ts';
import { type Finding, fail } from './finding.ts';
import { judge } from './judge.ts';
import { versionOf } from './node-looks.ts';
import { nodeCommand, ReportReader } from './node-report.ts';
import type { World } from './world.ts';

/** How long the job itself may take, besides waiting for its nodes. */
const RUN_MS = 90_000;
const KILL_MS = 5_000;
const WORDS = 400;

/** Options that sbatch and srun share and that decide whether the job may have the nodes. */
const PASSED_ON = new Set(['qos', 'reservation', 'constraint', 'mem']);

/** Runs one job with a task on each of the nodes, and returns the findings of each. */
export async function checkNodes(world: World, nodes: readonly string[], waitS: number): Promise<Finding[]> {
  const { cluster, wanted, outputs, distDir, cwd } = world;
  if (nodes.length === 0) return [];
  const token = `.srtctl-doctor-${randomBytes(4).toString('hex')}`;
  await writeFile(join(outputs, token), '').catch(() => {});
  const reader = new ReportReader();
  try {
    const request = {
      cwd,
      outputs,
      token,
      distDir,
      models: [...wanted.models],
      ports: [...wanted.ports],
      programs: ['nats-server', ...runtimePrograms(cluster.container_runtime ?? null)],
      networkInterface: cluster.network_interface ?? null,
    };
    const command = nodeCommand(join(distDir, 'doctor-node.js'), request, runtimesOf(cluster, distDir));
    const said = await runOnNodes([...stepArgs(world, nodes, waitS), ...command], reader, waitS, world);
    const expected = {
      gpus: wanted.gpus,
      srtctl: await versionOf(distDir),
      runningJobs: await runningJobs(world),
      outputs,
    };
    return nodes.flatMap((node) => {
      const report = reader.reports.get(node);
      if (report) return judge(report, reader.clockAheadMs.get(node), expected);
      const why = reader.failed.get(node);
      if (why !== undefined) {
        const [text = '', ...advice] = why.split(': ');
        return [
          { check: 'runtime', where: node, ...fail(text, advice.join(': ') || 'see docs/how-to/slurm.md') },
        ];
      }
      const text = `the check sent no report${said === '' ? '' : `; srun: ${said}`}`;
      return [{ check: 'runtime', where: node, ...fail(text, adviceFor(said, waitS)) }];
    });
  } finally {
    await rm(join(outputs, token), { force: true }).catch(() => {});
  }
}

const runtimePrograms = (runtime: string | null): string[] =>
  runtime === null || runtime === 'pyxis' || runtime === 'none' ? [] : [runtime];

function adviceFor(said: string, waitS: number): string {
  if (/busy|immediate|Unable to allocate|timed? ?out/i.test(said))
    return `the nodes were not free within ${waitS} s: try again later, or --wait longer`;
  return 'check whether the node runs any job: `srun --nodelist=NODE hostname`';
}

/** Inside an allocation, a step beside the running ones; else a job of its own. */
function stepArgs({ cluster, wanted, env }: World, nodes: readonly string[], waitS: number): string[] {
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
    '--time=1',
    `--immediate=${waitS}`,
    ...(wanted.partition ? [`--partition=${wanted.partition}`] : []),
    ...(cluster.default_account ? [`--account=${cluster.default_account}`] : []),
    ...(cluster.use_gpus_per_node_directive && wanted.gpus ? [`--gpus-per-node=${wanted.gpus}`] : []),
    ...further.map(([name, value]) => (value === '' ? `--${name}` : `--${name}=${value}`)),
  ];
}

/** Runs srun and passes its lines to the reader. Resolves with srun's own last error, for people. */
async function runOnNodes(
  args: string[],
  reader: ReportReader,
  waitS: number,
  { env }: World,
): Promise<string> {
  const child = spawn('srun', args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    env: stepEnvironment(env),
  });
  let said = '';
  createInterface({ input: child.stdout }).on('line', (line) => reader.take(line, Date.now()));
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
  const timer = setTimeout(
    () => {
      said += ' timed out';
      end();
    },
    waitS * 1_000 + RUN_MS,
  );
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

async function runningJobs({ run }: World): Promise<Set<string>> {
  const answer = await run('squeue', ['--noheader', '--me', '--format=%A']);
  return new Set(
    (answer?.stdout ?? '')
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== ''),
  );
}
