import type { Heartbeat } from '../../../src/messages/events/control.ts';
import type {
  AgentTransition,
  EventBody,
  ProcessTransition,
  SrtEvent,
} from '../../../src/messages/events/events.ts';
import type { Cause, PointResult } from '../../../src/messages/job-directory/result.ts';
import type { ServingResult } from '../../../src/messages/job-directory/serving-result.ts';

/** The start of the recorded events. */
export const START = Date.parse('2026-01-02T03:04:05.000Z');

/** Numbers and dates events as their senders do: agents and the coordinator each by themselves, a second apart. */
export function recorded(bodies: readonly EventBody[]): SrtEvent[] {
  const seqs = new Map<string, number>();
  return bodies.map((body, index) => {
    const source = body.kind === 'process.transition' ? `agent:${body.node}:x` : 'coordinator:1';
    const seq = (seqs.get(source) ?? 0) + 1;
    seqs.set(source, seq);
    return { ...body, v: 1, at: new Date(START + index * 1_000).toISOString(), source, seq };
  });
}

export const processEvent = (over: Partial<ProcessTransition> = {}): EventBody => ({
  kind: 'process.transition',
  node: 'node1',
  process: 'prefill-0-0',
  role: 'prefill',
  from: 'starting',
  to: 'ready',
  why: 'HTTP 200 after 2.1 s',
  pid: 4711,
  exitCode: null,
  signal: null,
  generation: 2,
  logFile: '/nowhere/node1_prefill_w0.out',
  ...over,
});

export const agentEvent = (node: string, to: AgentTransition['to']): EventBody => ({
  kind: 'agent.transition',
  node,
  from: 'expected',
  to,
  why: 'said hello',
});

export const heartbeatOf = (over: Partial<Heartbeat> = {}): Heartbeat => ({
  v: 1,
  node: 'node1',
  incarnation: 'x',
  epoch: 1,
  generation: 1,
  processes: [],
  alive: 1,
  rssBytes: 1_000,
  malformed: 0,
  leaving: false,
  ...over,
});

const distribution = { mean: 12, median: 12, p90: 13, p95: 14, p99: 15, std: 1, min: 10, max: 16 };
const serving: ServingResult = {
  concurrency: 4,
  requestRate: null,
  isl: 64,
  osl: 32,
  requests: 16,
  completed: 16,
  failed: 0,
  errors: [],
  durationS: 2,
  inputTokens: 1024,
  outputTokens: 512,
  requestThroughput: 8,
  inputThroughput: 512,
  outputThroughput: 256,
  totalThroughput: 768,
  ttftMs: distribution,
  tpotMs: distribution,
  itlMs: distribution,
  e2elMs: distribution,
};

export const killed: Cause = {
  summary: 'decode-0-0 (decode worker on node2) failed: ended by SIGKILL',
  node: 'node2',
  process: 'decode-0-0',
  exitCode: null,
  signal: 'SIGKILL',
  logFile: '/nowhere/node2_decode_w0.out',
  logTail: Array.from({ length: 60 }, (_, index) => `log line ${index + 1}`),
};

const result = (cause: Cause | null): PointResult => ({
  v: 1,
  job: 'job-1',
  ordinal: 0,
  name: 'small',
  params: null,
  status: cause ? 'failed' : 'done',
  startedAt: new Date(START).toISOString(),
  benchmarkStartedAt: null,
  finishedAt: new Date(START).toISOString(),
  benchmark: cause ? null : { type: 'sa-bench', valid: true, serving: [serving], artifacts: [] },
  cause,
});

/** A run of one point from its first event to its last, which ended well or with a cause. */
export function wholeRun(cause: Cause | null = null): SrtEvent[] {
  const sweep = { kind: 'sweep.transition', points: 1, exitCode: null, cause: null } as const;
  const point = { kind: 'point.transition', ordinal: 0, name: 'small', cause: null } as const;
  return recorded([
    { ...sweep, from: null, to: 'booting', why: 'submitted' },
    agentEvent('node1', 'joined'),
    agentEvent('node2', 'joined'),
    { ...sweep, from: 'booting', to: 'running', why: 'every agent has joined' },
    { ...point, from: null, to: 'planned', why: 'planned' },
    { ...point, from: 'planned', to: 'deploying', why: 'starting' },
    processEvent({ from: null, to: 'waiting', why: 'wanted', pid: null }),
    processEvent({ from: 'waiting', to: 'starting', why: 'files are in place', pid: null }),
    processEvent(),
    processEvent({ node: 'node2', process: 'decode-0-0', role: 'decode' }),
    { ...point, from: 'deploying', to: 'benchmarking', why: 'the frontend reports every worker' },
    ...(cause
      ? [
          processEvent({
            node: 'node2',
            process: 'decode-0-0',
            role: 'decode',
            from: 'ready',
            to: 'failed',
            why: 'ended by SIGKILL',
            signal: 'SIGKILL',
          }),
        ]
      : []),
    { ...point, from: 'benchmarking', to: cause ? 'failed' : 'done', why: 'it is over', cause },
    { kind: 'point.result', ordinal: 0, result: result(cause) },
    processEvent({ from: 'ready', to: 'stopped', why: 'everything is to stop', exitCode: 0 }),
    { ...sweep, from: 'running', to: 'finished', why: 'every point has run', exitCode: cause ? 1 : 0, cause },
  ]);
}
