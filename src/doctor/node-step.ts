import { randomBytes } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runtimesOf } from '../platform/runtimes.ts';
import { type Finding, fail } from './finding.ts';
import { judge } from './judge.ts';
import { versionOf } from './node-looks.ts';
import { nodeCommand, ReportReader } from './node-report.ts';
import { runStep, stepArgs } from './step.ts';
import type { World } from './world.ts';

/** How long the job itself may take, besides waiting for its nodes. */
const RUN_MS = 90_000;

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
      paths: [...wanted.paths],
      ports: [...wanted.ports],
      programs: ['nats-server', ...runtimePrograms(cluster.container_runtime ?? null)],
      networkInterface: cluster.network_interface ?? null,
    };
    const command = nodeCommand(join(distDir, 'doctor-node.js'), request, runtimesOf(cluster, distDir));
    const args = [...stepArgs(world, nodes, { waitS, minutes: 1 }), ...command];
    const said = await runStep(args, {
      env: world.env,
      limitMs: waitS * 1_000 + RUN_MS,
      take: (line) => reader.take(line, Date.now()),
    });
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

async function runningJobs({ run }: World): Promise<Set<string>> {
  const answer = await run('squeue', ['--noheader', '--me', '--format=%A']);
  return new Set(
    (answer?.stdout ?? '')
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== ''),
  );
}
