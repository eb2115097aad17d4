import Table from 'cli-table3';
import { createColors } from 'picocolors';
import type { Allocation, AllocationPoint, AllocationProcess } from './dry-run-plan.ts';

/** On a terminal alone; picocolors by itself would take CI for one. */
const pc = createColors(
  process.stdout.isTTY === true && process.env.TERM !== 'dumb' && !process.env.NO_COLOR,
);

const plain = {
  chars: { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' },
  style: { head: [], border: [] },
};

/** A cell of the table of points names no more than this many. */
const MOST_LISTED = 6;
/** Rows of the table of processes that is drawn with lines. */
const MOST_DRAWN = 500;

/** An allocation for people: what is asked of Slurm, which node does what, and every command. */
export function showAllocation(allocation: Allocation): string {
  const { file, variant, name, totalNodes, gpusPerNode, sbatch, points } = allocation;
  const nodes = `${totalNodes} node${totalNodes === 1 ? '' : 's'} of ${gpusPerNode} GPUs`;
  const head = [
    `${pc.bold(name)}  ${pc.dim(`${file}${variant === '' ? '' : `:${variant}`}`)}`,
    points.length === 1 ? `${nodes}, 1 point` : `${nodes}, ${points.length} points, ${loadsText(allocation)}`,
    ...sbatch.map((line) => pc.dim(line)),
  ];
  const order = points.length > 1 ? [orderTable(points)] : [];
  return `${[...head, ...order, ...points.map(showPoint)].join('\n')}\n\n`;
}

/** With what it would be if each point were a job of its own. */
function loadsText({ engineLoads, points }: Allocation): string {
  const alone = points.reduce((sum, { endpoints }) => sum + endpoints.length, 0);
  return `${engineLoads} engine load${engineLoads === 1 ? '' : 's'}${alone > engineLoads ? ` in place of ${alone}` : ''}`;
}

/** The points in the order in which they run, and what each does to what the one before it left. */
function orderTable(points: readonly AllocationPoint[]): string {
  const table = new Table({
    ...plain,
    head: ['', 'point', 'loads', 'kept', 'restarted', 'started', 'stopped'],
  });
  for (const [at, { name, engineLoads, keep, restart, start, stop }] of points.entries())
    table.push([
      at + 1,
      name,
      engineLoads,
      ...[keep, restart, at === 0 ? ['everything'] : start, stop].map(listed),
    ]);
  return table.toString();
}

/** `prefill-0-0, prefill-0-1, prefill-0-2` as `prefill-0-0 to -2`: an endpoint may have many ranks. */
function listed(ids: readonly string[]): string {
  const runs: { first: string; stem: string; from: number; to: number }[] = [];
  for (const id of ids) {
    const [, stem = id, rank] = /^(.*-)(\d+)$/.exec(id) ?? [];
    const run = runs.at(-1);
    const number = Number(rank ?? -1);
    if (run && run.stem === stem && run.to + 1 === number) run.to = number;
    else runs.push({ first: id, stem, from: number, to: number });
  }
  const all = runs.map(({ first, from, to }) => (to > from ? `${first} to -${to}` : first));
  return all.length > MOST_LISTED
    ? `${all.slice(0, MOST_LISTED).join(', ')} … (${ids.length})`
    : all.join(', ');
}

function showPoint(point: AllocationPoint, at: number): string {
  const { name, params, backend, frontend, benchmark, processes } = point;
  // Of later points only what is new: the rest runs since an earlier one.
  const isNew = ({ id, startedBy }: AllocationProcess) => at === 0 || !point.keep.includes(startedBy ?? id);
  const title = params === null ? name : `${name}  ${pc.dim(JSON.stringify(params))}`;
  return [
    '',
    `${pc.bold(title)}: ${backend} behind ${frontend}, benchmark ${benchmark.type}`,
    ...(at === 0 || processes.some((each) => isNew(each) && each.role !== 'benchmark')
      ? [nodeTable(point)]
      : []),
    ...processes.filter(isNew).map(showProcess),
  ].join('\n');
}

function nodeTable({ roles, processes }: AllocationPoint): string {
  const byNode = new Map<string, AllocationProcess[]>();
  for (const each of processes) {
    const list = byNode.get(each.node);
    if (list) list.push(each);
    else byNode.set(each.node, [each]);
  }
  const nodes = [...new Set([roles.infra, roles.head, ...roles.workers])];
  const rows = nodes.flatMap((node) =>
    (byNode.get(node) ?? []).map(({ id, gpus, ports }) => {
      const used = Object.entries(ports).flatMap(([kind, port]) => (port ? [`${kind} ${port}`] : []));
      return [node, id, gpus.join(','), used.join(' ')];
    }),
  );
  const head = ['node', 'process', 'GPUs', 'ports'];
  if (rows.length > MOST_DRAWN) return columns([head, ...rows]);
  const table = new Table({ ...plain, head });
  table.push(...rows);
  return table.toString();
}

/** Rows without lines around them: to draw thousands takes longer than to plan them. */
function columns(rows: readonly string[][]): string {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  return rows
    .map((row) => `  ${row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join('  ')}`.trimEnd())
    .join('\n');
}

function showProcess(process: AllocationProcess): string {
  const { id, node, argv, env, log, launch } = process;
  if (process.startedBy !== null) return `${pc.cyan(id)} on ${node}, started by ${process.startedBy}`;
  const variables = Object.entries(env).map(([key, value]) => `${key}=${quote(value)}`);
  return [
    `${pc.cyan(id)} on ${node}, log ${log}`,
    ...(variables.length > 0 ? [`  ${pc.dim(variables.join(' '))}`] : []),
    ...(launch.length > 0 ? [`  ${pc.dim(launch.map(quote).join(' '))}`] : []),
    `  ${argv.map(quote).join(' ')}`,
  ].join('\n');
}

/** A word as a shell takes it, so that a command can be copied. */
const quote = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
