import type { Command } from 'commander';
import { OUTPUT_OPTION } from './options.ts';

export function registerStatus(program: Command): void {
  program
    .command('status')
    .description('Where a job stands; without a job, all of them, newest first.')
    .argument('[job]', 'job id, the path of its directory, or "latest"')
    .option(...OUTPUT_OPTION)
    .option('--json', 'one JSON object (without a job: one a line)')
    .addHelpText('after', '\nExamples:\n  srtctl status\n  srtctl status latest --json')
    .action(async (told: string | undefined, options: { output?: string; json?: boolean }) => {
      const { outputsRoot } = await import('./job-dir.ts');
      const root = outputsRoot(options.output);
      await (told === undefined ? all(root, options.json === true) : one(told, root, options.json === true));
    });
}

async function all(root: string, json: boolean): Promise<void> {
  const { findJob, listJobs } = await import('./job-dir.ts');
  const rows: string[][] = [];
  for (const jobId of await listJobs(root)) {
    const status = await statusOf(await findJob(jobId, root));
    if (json) process.stdout.write(`${JSON.stringify(status)}\n`);
    else
      rows.push([
        status.jobId,
        status.name,
        status.state,
        `${status.pointsDone} of ${status.points.length}`,
        status.cause?.summary ?? '',
      ]);
  }
  if (json) return;
  if (rows.length === 0) {
    process.stdout.write(`no jobs in ${root}\n`);
    return;
  }
  const { default: Table } = await import('cli-table3');
  const table = new Table({
    head: ['job', 'name', 'state', 'points done', 'cause'],
    style: { head: [], border: [], compact: true },
  });
  table.push(...rows);
  process.stdout.write(`${table.toString()}\n`);
}

async function one(told: string, root: string, json: boolean): Promise<void> {
  const { findJob } = await import('./job-dir.ts');
  const status = await statusOf(await findJob(told, root));
  if (json) {
    process.stdout.write(`${JSON.stringify(status, null, 2)}\n`);
    return;
  }
  const lines = [
    `${status.jobId}  ${status.name}`,
    `  state    ${status.state}${status.exitCode === null ? '' : ` (exit code ${status.exitCode})`}`,
    `  nodes    ${status.nodes.map(({ node, state }) => `${node} ${state}`).join(', ')}`,
    ...status.points.map(({ ordinal, name, state }) => `  point ${ordinal}  ${name}: ${state}`),
    ...status.processes.map(({ id, node, state, why }) => `  ${node}  ${id}: ${state} (${why})`),
    ...(status.cause ? [`  cause    ${status.cause.summary}`] : []),
    `  in       ${status.jobDir}`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

async function statusOf(job: Awaited<ReturnType<typeof import('./job-dir.ts')['findJob']>>) {
  const { isOver, readEvents, readState } = await import('./job-dir.ts');
  const { emptyView, withEvent } = await import('./view/model.ts');
  const [state, events, over] = await Promise.all([readState(job), readEvents(job), isOver(job)]);
  const view = events.reduce(withEvent, emptyView);
  const finished = state?.sweep === 'finished';
  return {
    jobId: job.jobId,
    name: job.spec.name,
    jobDir: job.jobDir,
    submittedAt: job.spec.submittedAt,
    tags: job.spec.tags,
    // A coordinator that is gone without having finished leaves a state that nobody keeps up any more.
    state: state === undefined ? 'starting' : over && !finished ? 'dead' : state.sweep,
    exitCode: state?.exitCode ?? null,
    points: state?.points ?? [],
    pointsDone: (state?.points ?? []).filter((point) => point.status === 'done').length,
    nodes: job.spec.nodes.map((node) => ({ node, state: view.agents.get(node) ?? 'expected' })),
    processes: [...view.processes.values()].filter((process) => over || process.state !== 'stopped'),
    cause: state?.cause ?? view.cause,
  };
}
