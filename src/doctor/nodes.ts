import { expandHostlist } from '../platform/slurm/hostlist.ts';
import { type Finding, fail, warn } from './finding.ts';
import type { World } from './world.ts';

/** The nodes to check, and findings for those that cannot be checked. */
export interface Choice {
  readonly nodes: readonly string[];
  readonly findings: readonly Finding[];
}

interface NodeState {
  readonly state: string;
  readonly reason: string;
}

const BUSY = ['allocated', 'mixed', 'completing', 'reserved'];

/** The named nodes, given as Slurm's lists (`gpu[1-4]`); the job waits for busy ones. */
export async function namedNodes(world: World, lists: readonly string[]): Promise<Choice> {
  const names = [...new Set(lists.flatMap(expandHostlist))];
  if (names.length === 0) return { nodes: [], findings: [] };
  const states = await statesOf(world, undefined);
  const unknown = names.filter((node) => !states.has(node));
  const off = names.filter((node) => isOff(states.get(node)));
  return {
    nodes: names.filter((node) => !unknown.includes(node) && !off.includes(node)),
    findings: [
      ...unknown.map((where) => ({
        check: 'state',
        where,
        ...fail('Slurm does not know this node', '`sinfo -N` lists the nodes'),
      })),
      ...off.map((node) => offFinding(node, states.get(node))),
    ],
  };
}

/** All idle nodes of the partition; each other node gets a finding with the reason. */
export async function idleNodes(world: World): Promise<Choice> {
  const states = await statesOf(world, world.wanted.partition ?? 'default');
  const findings = [...states].flatMap(([node, each]) => {
    if (each.state === 'idle') return [];
    if (!BUSY.includes(each.state)) return [offFinding(node, each)];
    const found = warn(
      `${each.state}: not checked`,
      'try again when it is free; --node waits for it, up to --wait seconds',
    );
    return [{ check: 'state', where: node, ...found }];
  });
  const nodes = [...states].filter(([, { state }]) => state === 'idle').map(([node]) => node);
  return { nodes, findings };
}

const isOff = (each: NodeState | undefined): boolean =>
  each !== undefined && each.state !== 'idle' && !BUSY.includes(each.state);

function offFinding(node: string, each: NodeState | undefined): Finding {
  const { state = '', reason = '' } = each ?? {};
  const why = reason === '' || reason === 'none' ? '' : ` (${reason})`;
  const found = warn(`${state}${why}: not checked`, "no job can use it; report it to the cluster's staff");
  return { check: 'state', where: node, ...found };
}

/** Nodes of a partition (`default`: the default one; undefined: all), by name. */
async function statesOf(world: World, partition: string | undefined): Promise<Map<string, NodeState>> {
  const named = partition !== undefined && partition !== 'default' ? [`--partition=${partition}`] : [];
  const answer = await world.run('sinfo', ['--noheader', '--Node', '--format=%N|%T|%E|%P', ...named]);
  const states = new Map<string, NodeState>();
  for (const line of (answer?.stdout ?? '').split('\n')) {
    const [node = '', state = '', reason = '', of = ''] = line.trim().split('|');
    if (node === '' || (partition === 'default' && !of.endsWith('*'))) continue;
    // Marks after a state (sinfo(1), "NODE STATE CODES") add conditions: powered down, not responding.
    const notResponding = state.endsWith('*');
    states.set(node, {
      state: notResponding ? `${state.slice(0, -1)}, not responding` : state.replace(/[~#!%$@^+-]+$/, ''),
      reason,
    });
  }
  return states;
}
