import { clockText, duration, isClockOff } from '../../view/lines.ts';
import { counts } from '../../view/process-list.ts';
import type { Gpu } from '../model/gpus.ts';
import { type Level, orderOf } from '../model/ui.ts';
import { jobTitle } from './job-head.ts';
import { labelled, type Row, row, rule, type Size, span } from './rows.ts';
import { type Drawn, empty, type JobScene, type Scene } from './scene.ts';
import { type Column, table } from './table.ts';
import { memoryText, toneOf, useText, wattsText } from './tones.ts';

interface NodeLine {
  readonly node: string;
  readonly agent: string;
  readonly states: readonly string[];
  readonly trouble: string;
}

/** The nodes of a job: their agents, how many of their processes are ready, and which are slow. */
export function nodesView({ job: scene, now }: Scene, level: Level, size: Size): Drawn {
  if (!scene) return empty(size);
  const nodes = chosenNodes(scene, level);
  const head = scene.slow.length === 0 ? [row('no node is slow', 'dim')] : [];
  const room = Math.max(2, size.rows - head.length - 1);
  const { rows, offset } = table(nodes, columnsOf(scene, now), level, { columns: size.columns, rows: room });
  const ids = nodes.map(({ node }) => node);
  return {
    title: jobTitle(scene, 'nodes'),
    rows: [...head, rule(`${nodes.length} nodes, by ${orderOf(level)}`, size.columns), ...rows],
    ...{ ids, count: ids.length, height: room - 1, offset, matches: [] },
  };
}

const names = new Intl.Collator('en', { numeric: true });

function chosenNodes({ history, slow }: JobScene, level: Level): NodeLine[] {
  const states = new Map<string, string[]>();
  for (const { node, state } of history.job.processes.values()) {
    const known = states.get(node);
    if (known) known.push(state);
    else states.set(node, [state]);
  }
  const troubles = new Map(slow.map(({ node, why }) => [node, why]));
  const all = new Set([...history.job.agents.keys(), ...states.keys()]);
  return [...all]
    .filter((node) => node.toLowerCase().includes(level.filter.toLowerCase()))
    .map((node) => ({
      node,
      agent: history.job.agents.get(node) ?? 'expected',
      states: states.get(node) ?? [],
      trouble: troubles.get(node) ?? '',
    }))
    .sort((a, b) => (orderOf(level) === 'name' ? 0 : rankOf(a) - rankOf(b)) || names.compare(a.node, b.node));
}

function rankOf({ agent, states, trouble }: NodeLine): number {
  if (agent === 'lost') return 0;
  if (states.includes('failed')) return 1;
  return agent === 'suspect' || trouble !== '' ? 2 : 3;
}

const columnsOf = ({ history, gpus }: JobScene, now: number): readonly Column<NodeLine>[] => [
  { title: 'NODE', rank: 0, most: 32, cell: ({ node }) => span(node) },
  { title: 'AGENT', rank: 0, cell: ({ agent }) => span(agent, toneOf(agent)) },
  {
    title: 'READY',
    rank: 0,
    right: true,
    cell: ({ states }) => span(`${states.filter((state) => state === 'ready').length}/${states.length}`),
  },
  {
    title: 'FAILED',
    rank: 1,
    right: true,
    cell({ states }) {
      const failed = states.filter((state) => state === 'failed').length;
      return span(failed === 0 ? '' : `${failed}`, 'bad');
    },
  },
  { title: 'GPU USE', rank: 1, right: true, cell: ({ node }) => span(useText(gpus.together(node))) },
  { title: 'GPU MEMORY', rank: 2, right: true, cell: ({ node }) => span(memoryText(gpus.together(node))) },
  { title: 'POWER', rank: 3, right: true, cell: ({ node }) => span(wattsText(gpus.together(node))) },
  { title: 'HEARD', rank: 2, right: true, cell: ({ node }) => span(heard(history.heardAt.get(node), now)) },
  {
    title: 'ALIVE',
    rank: 3,
    right: true,
    cell: ({ node }) => span(`${history.job.pulses.get(node)?.alive ?? ''}`),
  },
  {
    title: 'AGENT RSS',
    rank: 4,
    right: true,
    cell: ({ node }) => span(mib(history.job.pulses.get(node)?.rssBytes)),
  },
  { title: 'SLOW', rank: 0, cell: ({ trouble }) => span(trouble, 'warn') },
];

const heard = (at: number | undefined, now: number): string =>
  at === undefined ? '' : `${duration(Math.max(0, now - at))} ago`;

const mib = (bytes: number | undefined): string =>
  bytes === undefined ? '' : `${(bytes / 1_048_576).toFixed(0)} MiB`;

/** What is known of one node. */
export function nodeHead({ history, slow, gpus }: JobScene, node: string, now: number): Row[] {
  const { job, heardAt } = history;
  const agent = job.agents.get(node) ?? 'expected';
  const pulse = job.pulses.get(node);
  const load = pulse ? `, ${pulse.alive} processes alive, ${mib(pulse.rssBytes)} for itself` : '';
  const at = heardAt.get(node);
  const clock = job.clocks.get(node);
  const states = [...job.processes.values()].filter((each) => each.node === node).map(({ state }) => state);
  return [
    labelled(
      'agent',
      span(agent, toneOf(agent)),
      span(`${load}${at === undefined ? '' : `, heard ${heard(at, now)}`}`),
    ),
    labelled('runs', span(counts(states) || 'nothing')),
    ...gpuRows(gpus.of(node)),
    ...(clock
      ? [labelled('clock', span(clockText({ node, ...clock }), isClockOff(clock) ? 'warn' : 'dim'))]
      : []),
    ...slow.filter((each) => each.node === node).map(({ why }) => labelled('slow', span(why, 'warn'))),
  ];
}

/** A row for each GPU. */
function gpuRows(gpus: ReadonlyMap<string, Gpu>): Row[] {
  return [...gpus]
    .toSorted(([a], [b]) => names.compare(a, b))
    .map(([index, gpu]) => {
      const { celsius, hertz } = gpu;
      const facts = [
        useText(gpu).padStart(5),
        memoryText(gpu),
        wattsText(gpu),
        celsius === undefined ? '' : `${celsius.toFixed(0)} °C`,
        hertz === undefined ? '' : `${(hertz / 1e6).toFixed(0)} MHz`,
      ];
      return labelled(`GPU ${index}`, span(facts.filter((fact) => fact !== '').join('  ')));
    });
}
