import type { SeriesOption } from 'echarts';
import type { Lane, Source, Timeline } from '../model/report.ts';
import { type Chart, NARROW } from './chart.ts';
import { axis, base, short } from './common.ts';
import type { Theme } from './theme.ts';

/** A chart of more lanes is a grey wall; the table has more. */
const MOST_LANES = 60;
const MOST_ROWS = 400;
const LANE_PX = 17;

/** What a job did when, by node and process. undefined for what has no events. */
export function timelineChart(source: Source, at: number): Chart | undefined {
  const { timeline } = source;
  if (!timeline) return undefined;
  const lanes = chosenLanes(timeline);
  const left = timeline.lanes.length - lanes.length;
  const rows = timeline.lanes.flatMap((lane) =>
    lane.spans.map((span) => [
      lane.node ?? '',
      lane.name,
      span.state,
      seconds(span.from - timeline.from),
      seconds(span.to - span.from),
      span.why,
    ]),
  );
  const marks = timeline.marks.map((mark) => [
    mark.node ?? '',
    mark.what,
    '',
    seconds(mark.at - timeline.from),
    '',
    mark.text,
  ]);
  return {
    id: `timeline-${at + 1}`,
    title: `Timeline of ${source.id}`,
    about: `What the job, each point and each process did, in seconds from the submission. Red lines are failures, restarts and lost agents.${
      left > 0 ? ` ${left} more processes are in the table only.` : ''
    }`,
    height: lanes.length * LANE_PX + 110,
    table: {
      head: ['node', 'what', 'state', 'from (s)', 'for (s)', 'why'],
      rows: [...marks, ...rows].slice(0, MOST_ROWS),
      ...(rows.length + marks.length > MOST_ROWS
        ? { note: `${rows.length + marks.length - MOST_ROWS} more rows are in events.jsonl of the job` }
        : {}),
    },
    option: (theme, width) => optionOf(timeline, lanes, theme, width),
  };
}

const seconds = (ms: number): string => (ms / 1_000).toFixed(1);

/** The lanes that a chart of the timeline shows. */
export const lanesForPage = (timeline: Timeline): Lane[] => chosenLanes(timeline);

/** All lanes, or the job's, the points', and of the processes first those with failures. */
function chosenLanes({ lanes, marks }: Timeline): Lane[] {
  if (lanes.length <= MOST_LANES) return [...lanes];
  const failed = new Set(
    marks.flatMap(({ text, node }) => (node === null ? [] : [`${node} ${text.split(' ')[0]}`])),
  );
  const isFailed = ({ node, name }: Lane): boolean => failed.has(`${node} ${name}`);
  const first = lanes.filter(({ kind }) => kind !== 'process').slice(0, MOST_LANES / 2);
  const processes = lanes.filter(({ kind }) => kind === 'process');
  const kept = new Set(
    [...first, ...processes.filter(isFailed), ...processes.filter((lane) => !isFailed(lane))].slice(
      0,
      MOST_LANES,
    ),
  );
  return lanes.filter((lane) => kept.has(lane));
}

const nameOf = ({ node, name }: Lane): string => (node === null ? name : `${node} ${name}`);

function optionOf(timeline: Timeline, lanes: readonly Lane[], theme: Theme, width: number) {
  const states = [...new Set(lanes.flatMap(({ spans }) => spans.map(({ state }) => state)))];
  const isNarrow = width < NARROW;
  const colours = (state: string): string => theme.states[state] ?? theme.muted;
  const series = states.map(
    (state): SeriesOption => ({
      type: 'custom',
      name: state,
      color: colours(state),
      encode: { x: [1, 2], y: 0 },
      data: lanes.flatMap((lane, at) =>
        lane.spans
          .filter((span) => span.state === state)
          .map(({ from, to, why }) => ({
            value: [at, (from - timeline.from) / 1_000, (to - timeline.from) / 1_000],
            tip: [
              nameOf(lane),
              `${state}: ${seconds(to - from)} s, from ${seconds(from - timeline.from)} s`,
              why,
            ],
          })),
      ),
      renderItem(_, api) {
        const [x = 0, y = 0] = api.coord([api.value(1), api.value(0)]);
        const [end = 0] = api.coord([api.value(2), api.value(0)]);
        const height = LANE_PX - 5;
        return {
          type: 'rect',
          shape: { x, y: y - height / 2, width: Math.max(end - x, 1), height },
          style: { fill: colours(state) },
        };
      },
    }),
  );
  const marked = timeline.marks.filter(({ what }) => what !== 'warning');
  return {
    ...base(theme, width, states),
    grid: { left: isNarrow ? 112 : 190, right: isNarrow ? 12 : 32, top: 52, bottom: 48 },
    xAxis: axis(theme, 'seconds', {
      min: 0,
      max: (timeline.to - timeline.from) / 1_000,
      nameGap: 28,
      axisLabel: { color: theme.muted, hideOverlap: true, formatter: '{value}', showMaxLabel: false },
    }),
    yAxis: {
      type: 'category' as const,
      data: lanes.map((lane) => short(nameOf(lane), isNarrow ? 17 : 30)),
      inverse: true,
      axisLabel: { color: theme.text, fontSize: 11, interval: 0 },
      axisLine: { lineStyle: { color: theme.line } },
      axisTick: { show: false },
    },
    series: [
      ...series,
      {
        type: 'scatter' as const,
        name: 'failures',
        data: marked.map((mark) => ({
          value: [(mark.at - timeline.from) / 1_000, 0],
          tip: [mark.text],
        })),
        symbol: 'diamond',
        symbolSize: 9,
        color: theme.bad,
        markLine: {
          silent: true,
          symbol: 'none',
          label: { show: false },
          lineStyle: { color: theme.bad, width: 1, type: 'solid' as const },
          data: marked.map(({ at }) => ({ xAxis: (at - timeline.from) / 1_000 })),
        },
      },
    ],
  };
}
