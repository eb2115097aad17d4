import { createColors } from 'picocolors';
import { shellQuote } from '../../os/quote.ts';
import { hasColours } from '../terminal/terminal.ts';
import { widthOf } from '../terminal/text.ts';
import type { AllocationPoint, AllocationProcess, Planned } from './plan.ts';

/** Colours only on a terminal, because picocolors itself would also use them in CI. */
const pc = createColors(hasColours(process.stdout, process.env));

/** A cell of the table of points lists at most this many names. */
const MOST_LISTED = 6;
/** An allocation for people, piece by piece: the Slurm options, the tasks of each node, and every command. */
export function* showAllocation({
  head: allocation,
  changes,
  loadsAlone,
  hours,
  points,
}: Planned): Generator<string> {
  const { file, variant, name, totalNodes, gpusPerNode, sbatch, engineLoads } = allocation;
  const nodes = `${totalNodes} node${totalNodes === 1 ? '' : 's'} of ${gpusPerNode} GPUs`;
  const head = [
    `${pc.bold(name)}  ${pc.dim(`${file}${variant === '' ? '' : `:${variant}`}`)}`,
    changes.length === 1
      ? `${nodes}, 1 point`
      : `${nodes}, ${changes.length} points, ${loadsText(engineLoads, loadsAlone)}`,
    hours,
    ...sbatch.map((line) => pc.dim(line)),
    ...hostLines(allocation),
  ];
  yield `${[...head, ...(changes.length > 1 ? [orderTable(changes)] : [])].join('\n')}\n`;
  let at = 0;
  for (const point of points()) yield `${showPoint(point, at++)}\n`;
  yield '\n';
}

/** The commands of `host_setup`, and where they run. */
function hostLines({ hostSetup, totalNodes }: Planned['head']): string[] {
  if (!hostSetup) return [];
  const { commands, teardown, nodes } = hostSetup;
  const where = nodes.length === totalNodes ? 'every node' : nodes.join(', ');
  const part = (title: string, lines: readonly string[]): string[] =>
    lines.length === 0
      ? []
      : [title, ...lines.flatMap((line) => line.trim().split('\n')).map((line) => `  ${line}`)];
  return [
    ...part(`before the first point, on ${where}, outside of any container:`, commands),
    ...part(`after the last point, on ${where}, outside of any container:`, teardown),
  ];
}

/** Adds the number for separate jobs. */
const loadsText = (loads: number, alone: number): string =>
  `${loads} engine load${loads === 1 ? '' : 's'}${alone > loads ? ` in place of ${alone}` : ''}`;

/** The points with their numbers, in running order, and the changes of each. */
const orderTable = (points: Planned['changes']): string =>
  tableOf(
    ['point', 'name', 'loads', 'kept', 'restarted', 'started', 'stopped'],
    points.map(({ ordinal, name, engineLoads, keep, restart, start, stop }, at) => [
      String(ordinal),
      name,
      String(engineLoads),
      ...[keep, restart, at === 0 ? ['everything'] : start, stop].map(listed),
    ]),
  );

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
  const { ordinal, name, params, backend, frontend, benchmark, processes } = point;
  // A later point shows only new processes; the others have been running since an earlier point.
  const kept = new Set(point.keep);
  const isNew = ({ id, startedBy }: AllocationProcess) => at === 0 || !kept.has(startedBy ?? id);
  const title = params === null ? name : `point ${ordinal} ${name}  ${pc.dim(JSON.stringify(params))}`;
  return [
    '',
    `${pc.bold(title)}: ${backend} behind ${frontend}, benchmark ${benchmark.type}`,
    ...(at === 0 || processes.some((each) => isNew(each) && each.role !== 'benchmark')
      ? [nodeMap(point), ...serviceTable(point), nodeTable(point)].filter((part) => part !== '')
      : []),
    ...processes.filter(isNew).map(showProcess),
  ].join('\n');
}

/** How the nodes of a job with pools are shared out. */
function nodeMap({ roles, services }: AllocationPoint): string {
  const pools = services.filter(({ owns }) => owns);
  if (pools.length === 0) return '';
  const workers = new Set(roles.workers);
  const inPools = new Set(Object.values(roles.pools).flat());
  const others = [...new Set([roles.infra, roles.head, roles.bench, ...(roles.clients ?? [])])].filter(
    (node) => !workers.has(node) && !inPools.has(node),
  );
  const lines = [
    `engine workers: ${workers.size}`,
    ...pools.map(({ name, type }) => `pool ${name} (${type}): ${roles.pools[name]?.length ?? 0}`),
    ...(others.length > 0 ? [`infrastructure, router and benchmark alone: ${others.length}`] : []),
    `total: ${workers.size + inPools.size + others.length}`,
  ];
  return ['Nodes:', ...lines.map((line) => `  ${line}`)].join('\n');
}

/** A job with nothing but what its router implies has no table. */
function serviceTable({ services }: AllocationPoint): string[] {
  if (services.every(({ impliedBy }) => impliedBy !== null)) return [];
  const rows = services.map(({ name, type, start, nodes, external, impliedBy, terminal }) => [
    name,
    type,
    external ?? (nodes.length > 4 ? `${nodes.length} nodes` : nodes.join(', ')),
    start,
    impliedBy === null
      ? terminal
        ? 'declared, the run ends with it'
        : 'declared'
      : `implied by ${impliedBy}`,
  ]);
  return [tableOf(['service', 'kind', 'where', 'start', ''], rows)];
}

function nodeTable({ roles, processes }: AllocationPoint): string {
  const byNode = new Map<string, AllocationProcess[]>();
  for (const each of processes) {
    const list = byNode.get(each.node);
    if (list) list.push(each);
    else byNode.set(each.node, [each]);
  }
  const nodes = [
    ...new Set([
      roles.infra,
      roles.head,
      ...roles.workers,
      ...Object.values(roles.pools).flat(),
      roles.bench,
      ...(roles.clients ?? []),
    ]),
  ];
  const rows = nodes.flatMap((node) =>
    (byNode.get(node) ?? []).map(({ id, gpus, ports }) => {
      const used = Object.entries(ports).flatMap(([kind, port]) => (port ? [`${kind} ${port}`] : []));
      return [node, id, gpus.join(','), used.join(' ')];
    }),
  );
  return tableOf(['node', 'process', 'GPUs', 'ports'], rows);
}

/** A table with borders. cli-table3 needs more time for thousands of rows than the rest of the dry run. */
function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, at) =>
    rows.reduce((widest, row) => Math.max(widest, widthOf(row[at] ?? '')), widthOf(title)),
  );
  const line = (left: string, middle: string, right: string): string =>
    `${left}${widths.map((width) => '─'.repeat(width + 2)).join(middle)}${right}`;
  const cell = (text: string, width: number): string => ` ${text}${' '.repeat(width - widthOf(text))} `;
  const text = (row: readonly string[]): string =>
    `│${widths.map((width, at) => cell(row[at] ?? '', width)).join('│')}│`;
  return [line('┌', '┬', '┐'), text(head), ...rows.map(text), line('└', '┴', '┘')].join('\n');
}

function showProcess(process: AllocationProcess): string {
  const { id, node, argv, env, log, launch } = process;
  if (process.startedBy !== null) return `${pc.cyan(id)} on ${node}, started by ${process.startedBy}`;
  const variables = Object.entries(env).map(([key, value]) => `${key}=${shellQuote(value)}`);
  return [
    `${pc.cyan(id)} on ${node}, log ${log}`,
    ...(variables.length > 0 ? [`  ${pc.dim(variables.join(' '))}`] : []),
    ...(launch.length > 0 ? [`  ${pc.dim(launch.map(shellQuote).join(' '))}`] : []),
    `  ${argv.map(shellQuote).join(' ')}`,
  ].join('\n');
}
