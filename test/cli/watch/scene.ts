import { Engines } from '../../../src/cli/watch/model/engine-figures.ts';
import { Gpus } from '../../../src/cli/watch/model/gpus.ts';
import { JobHistory } from '../../../src/cli/watch/model/job-history.ts';
import { slowNodes } from '../../../src/cli/watch/model/slow-nodes.ts';
import type { JobScene, Scene } from '../../../src/cli/watch/views/scene.ts';
import type { EventBody } from '../../../src/messages/events/events.ts';
import type { Cause } from '../../../src/messages/job-directory/result.ts';
import { agentEvent, processEvent, recorded, START } from '../view/events.ts';

export const died: Cause = {
  summary: 'decode-3-0 (decode worker on node5) failed: ended by SIGKILL (out of memory)',
  node: 'node5',
  process: 'decode-3-0',
};

const point = { kind: 'point.transition', ordinal: 1, name: 'dsr1_osl160' } as const;

/** The second point of a sweep over three, with eight decode workers. */
const begun = (): EventBody[] => [
  {
    kind: 'sweep.transition',
    from: null,
    to: 'booting',
    why: 'submitted',
    points: 3,
    exitCode: null,
    cause: null,
  },
  ...Array.from({ length: 9 }, (_, at) => agentEvent(`node${at + 1}`, 'joined')),
  {
    kind: 'sweep.transition',
    from: 'booting',
    to: 'running',
    why: 'every agent has joined',
    points: 3,
    exitCode: null,
    cause: null,
  },
  {
    ...{ kind: 'sweep.progress', points: 3, done: 1, failed: 0, left: 2, meanPointMs: 40_000 },
    expectedEndAt: new Date(START + 120_000).toISOString(),
  },
  { ...point, from: null, to: 'planned', why: 'planned', cause: null },
  { ...point, from: 'planned', to: 'deploying', why: 'starting', cause: null },
  processEvent({ process: 'prefill-0-0', to: 'starting' }),
  processEvent({ process: 'prefill-0-0' }),
  ...Array.from({ length: 8 }, (_, at) => [
    decode(at, { from: 'waiting', to: 'starting', why: 'its files are in place' }),
    decode(at, {}),
  ]).flat(),
  { ...point, from: 'deploying', to: 'benchmarking', why: 'the frontend reports every worker', cause: null },
];

const decode = (index: number, over: Parameters<typeof processEvent>[0]): EventBody =>
  processEvent({
    ...{ node: `node${index + 2}`, process: `decode-${index}-0`, role: 'decode', pid: 5_000 + index },
    ...{ logFile: `/jobs/4711/logs/node${index + 2}_decode_w${index}.out`, ...over },
  });

const end: EventBody[] = [
  decode(3, { from: 'ready', to: 'failed', why: 'ended by SIGKILL (out of memory)', signal: 'SIGKILL' }),
  { ...point, from: 'benchmarking', to: 'cleaning', why: died.summary, cause: died },
];

/** A job in its second point; `dies`: one of its decode workers has just died. */
export function jobScene({ dies = false, isSlow = false } = {}): JobScene {
  const history = new JobHistory();
  for (const event of recorded([...begun(), ...(dies ? end : [])])) history.take(event);
  const engines = new Engines();
  const gpus = new Gpus();
  const now = START + 40_000;
  for (let look = 0; look < 6; look++)
    for (let index = 0; index < 8; index++) {
      const speed = isSlow && index === 6 ? 60 : 200;
      const values = { running: 4, waiting: 1, cache: 0.25, outputTokens: look * 5 * speed };
      engines.take(`decode-${index}-0`, values, now - 30_000 + look * 5_000);
    }
  const progress = {
    ...({ stage: 'measure', concurrency: 64, step: 2, steps: 3, requestsTotal: 640, failed: 0 } as const),
    ...{ ttftMs: 118.4, itlMs: 14.21, inFlight: 64 },
  };
  for (const [at, done] of [
    [0, 0],
    [5_000, 100],
    [10_000, 200],
  ] as const)
    if (!dies)
      history.takeProgress({
        ...{ v: 1, ordinal: 1, at: new Date(now - 10_000 + at).toISOString() },
        progress: { ...progress, requestsDone: done, outputThroughput: 1_500 + done },
      });
  for (let node = 1; node <= 9; node++)
    history.takeHeartbeat(
      {
        ...{ v: 1, node: `node${node}`, incarnation: 'x', epoch: 1, generation: 2, processes: [] },
        ...{ alive: 9, rssBytes: 60e6, malformed: 0, leaving: false },
      },
      now - 500,
    );
  return {
    ...{ jobId: '4711', jobDir: '/jobs/4711', name: 'dsr1', link: 'live', queue: null, exitCode: null },
    ...{
      cause: dies ? died : null,
      history,
      engines,
      gpus,
      slow: slowNodes({ history, engines, gpus }, now, true),
    },
  };
}

export const sceneOf = (job: JobScene | null, over: Partial<Scene> = {}): Scene => ({
  jobs: { root: '/jobs', lines: [], isRead: true },
  job,
  process: null,
  now: START + 40_000,
  ...over,
});
