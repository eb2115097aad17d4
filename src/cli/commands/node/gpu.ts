import type { Command } from 'commander';
import type { Bus } from '../../../messages/bus/bus.ts';
import type { Subjects } from '../../../messages/events/subjects.ts';
import type { GpuReport } from '../../nodes/gpu-report.ts';
import { JOB_WORDS, OUTPUT_OPTION } from '../../terminal/options.ts';

interface GpuOptions {
  readonly output?: string;
  readonly node?: string;
  readonly json?: boolean;
}

export function registerGpu(program: Command): void {
  program
    .command('gpu')
    .description("Show the GPUs of a running job's nodes: use, memory, power, temperature.")
    .argument('[job]', JOB_WORDS, 'latest')
    .option('--node <node>', 'only this node')
    .option(...OUTPUT_OPTION)
    .option('--json', 'one JSON object a line for each GPU')
    .addHelpText(
      'after',
      `
Each agent runs nvidia-smi, or rocm-smi where that is missing, as \`srtctl exec\` would. Exit code 1 when a node has neither,
or does not answer.

Examples:
  srtctl gpu latest
  srtctl gpu latest --json | jq -r 'select(.usePercent == 0) | .node'`,
    )
    .action(gpu);
}

/** Nodes that are asked at a time. */
const AT_ONCE = 32;
const LIMIT_MS = 30_000;

async function gpu(told: string, { output, node, json }: GpuOptions): Promise<void> {
  const { EXIT, SrtctlError } = await import('../../../os/errors.ts');
  const { findJob, outputsRoot } = await import('../../jobs/job-dir.ts');
  const job = await findJob(told, outputsRoot(output));
  const { execBus } = await import('../../nodes/exec-bus.ts');
  const { LogIndex } = await import('../../logs/log-index.ts');
  const index = new LogIndex(job);
  await index.refresh();
  // A node's first agent has its name; others there would report the same GPUs.
  const all = index.agents.filter((agent) => !agent.includes('/'));
  const nodes = all.filter((agent) => node === undefined || agent === node);
  if (nodes.length === 0)
    throw new SrtctlError(
      'unknown-node',
      `no agent of job ${job.jobId} has joined${node === undefined ? '' : ` on ${node}`}`,
      {
        ...(all.length === 0 ? {} : { hint: `its nodes are ${all.slice(0, 8).join(', ')}` }),
      },
    );
  const bus = await execBus(job);
  const { subjectsOf } = await import('../../../messages/events/subjects.ts');
  const { atATime } = await import('../../../os/at-a-time.ts');
  const found: (readonly GpuReport[])[] = [];
  try {
    await atATime(AT_ONCE, nodes, async (each, at) => {
      found[at] = await reportsOf(bus, subjectsOf(job.jobId), each).catch((error: Error) => {
        process.stderr.write(`srtctl: ${error.message}\n`);
        process.exitCode = EXIT.failed;
        return [];
      });
    });
  } finally {
    await bus.close(500);
  }
  const rows = nodes.flatMap((each, at) => (found[at] ?? []).map((report) => ({ node: each, ...report })));
  if (json) for (const row of rows) process.stdout.write(`${JSON.stringify(row)}\n`);
  else if (rows.length > 0) process.stdout.write(`${await tableOf(rows)}\n`);
}

async function reportsOf(bus: Bus, subjects: Subjects, node: string): Promise<readonly GpuReport[]> {
  const { NVIDIA_COMMAND, nvidiaReports, ROCM_COMMAND, rocmReports } = await import(
    '../../nodes/gpu-report.ts'
  );
  const { runOnNode } = await import('../../nodes/run-on-node.ts');
  const { ownUserName } = await import('../../../os/processes/own-user.ts');
  const { SrtctlError } = await import('../../../os/errors.ts');
  let refusal: Error | undefined;
  for (const [argv, read] of [
    [NVIDIA_COMMAND, nvidiaReports],
    [ROCM_COMMAND, rocmReports],
  ] as const) {
    const said = { stdout: '', stderr: '' };
    try {
      const end = await runOnNode(bus, {
        ...{ subject: subjects.exec(node), node, process: null, argv, by: ownUserName(), limitMs: LIMIT_MS },
        onOutput: (stream, data) => {
          said[stream] += data.toString();
        },
      });
      const reports = end.exitCode === 0 ? read(said.stdout) : [];
      if (reports.length > 0) return reports;
      const why = `${said.stderr}${said.stdout}`.trim().split('\n')[0] || 'it lists no GPU';
      refusal ??= new Error(`${node}: ${argv[0]} ended with ${end.exitCode ?? end.signal}: ${why}`);
    } catch (error) {
      if (!(error instanceof SrtctlError) || error.code !== 'exec-refused') throw error;
      refusal ??= error;
    }
  }
  throw refusal ?? new Error(`${node}: no answer`);
}

async function tableOf(rows: readonly (GpuReport & { readonly node: string })[]): Promise<string> {
  const { default: Table } = await import('cli-table3');
  const { plain } = await import('../../terminal/text.ts');
  const table = new Table({
    head: ['node', 'GPU', 'name', 'use', 'memory', 'power', 'temperature'],
    style: { head: [], border: [], compact: true },
  });
  const text = (value: number | null, unit: string): string =>
    value === null ? '-' : `${Math.round(value)} ${unit}`;
  const gib = (value: number | null): string => (value === null ? '-' : (value / 1_024).toFixed(1));
  for (const row of rows)
    table.push([
      ...[plain(row.node), String(row.index), plain(row.name), text(row.usePercent, '%')],
      `${gib(row.memoryUsedMib)} of ${gib(row.memoryTotalMib)} GiB`,
      ...[text(row.powerW, 'W'), text(row.temperatureC, '°C')],
    ]);
  return table.toString();
}
