import Table from 'cli-table3';
import pc from 'picocolors';
import type { Allocation, AllocationPoint, AllocationProcess } from './dry-run-plan.ts';

/** An allocation for people: what is asked of Slurm, which node does what, and every command. */
export function showAllocation(allocation: Allocation): string {
  const { file, variant, name, totalNodes, gpusPerNode, sbatch, points } = allocation;
  const nodes = `${totalNodes} node${totalNodes === 1 ? '' : 's'} of ${gpusPerNode} GPUs`;
  const head = [
    `${pc.bold(name)}  ${pc.dim(`${file}${variant === '' ? '' : `:${variant}`}`)}`,
    `${nodes}, ${points.length} point${points.length === 1 ? '' : 's'}`,
    ...sbatch.map((line) => pc.dim(line)),
  ];
  return `${[...head, ...points.map(showPoint)].join('\n')}\n\n`;
}

function showPoint(point: AllocationPoint): string {
  const { name, params, backend, frontend, benchmark } = point;
  const title = params === null ? name : `${name}  ${pc.dim(JSON.stringify(params))}`;
  return [
    '',
    `${pc.bold(title)}: ${backend} behind ${frontend}, benchmark ${benchmark.type}`,
    nodeTable(point),
    ...point.processes.map(showProcess),
  ].join('\n');
}

function nodeTable({ roles, processes }: AllocationPoint): string {
  const table = new Table({
    head: ['node', 'process', 'GPUs', 'ports'],
    chars: { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' },
    style: { head: [], border: [] },
  });
  const nodes = [...new Set([roles.infra, roles.head, ...roles.workers])];
  for (const node of nodes) {
    for (const each of processes.filter((process) => process.node === node)) {
      const ports = Object.entries(each.ports).flatMap(([kind, port]) => (port ? [`${kind} ${port}`] : []));
      table.push([node, each.id, each.gpus.join(','), ports.join(' ')]);
    }
  }
  return table.toString();
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
