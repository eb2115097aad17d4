import { describe, expect, it } from 'vitest';
import { JobModel } from '../../../src/cli/jobs/job-model.ts';
import type { SrtEvent } from '../../../src/messages/events/events.ts';
import type { BenchmarkProgress } from '../../../src/messages/job-directory/result.ts';
import type { PointState } from '../../../src/messages/spec/states.ts';
import { agentEvent, heartbeatOf, killed, processEvent, recorded, wholeRun } from '../view/events.ts';

const modelOf = (events: ReturnType<typeof wholeRun>): JobModel => {
  const model = new JobModel();
  for (const event of events) model.take(event);
  return model;
};

const progress: BenchmarkProgress = {
  stage: 'measure',
  concurrency: 4,
  step: 1,
  steps: 2,
  requestsDone: 3,
  requestsTotal: 16,
  failed: 0,
  outputThroughput: 100,
};

const heartbeat = heartbeatOf({ alive: 3, rssBytes: 1_000 });

describe('the model of a job', () => {
  it('knows agents, processes, points and the end from the events', () => {
    const model = modelOf(wholeRun());
    expect(model).toMatchObject({ sweep: 'finished', exitCode: 0, cause: null, pointCount: 1 });
    expect([...model.agents]).toEqual([
      ['node1', 'joined'],
      ['node2', 'joined'],
    ]);
    expect(model.processes.get('prefill-0-0')).toMatchObject({
      state: 'stopped',
      exitCode: 0,
      node: 'node1',
    });
    expect(model.processes.get('decode-0-0')).toMatchObject({ state: 'ready', why: 'HTTP 200 after 2.1 s' });
    expect(model.points.get(0)).toMatchObject({ name: 'small', state: 'done' });
    expect(model.results).toHaveLength(1);
  });

  it('keeps the cause of a failure', () => {
    expect(modelOf(wholeRun(killed))).toMatchObject({ exitCode: 1, cause: { process: 'decode-0-0' } });
  });

  it('applies each event of a source once, even when all are repeated', () => {
    const events = wholeRun();
    const model = modelOf(events);
    expect(events.map((event) => model.take(event))).not.toContain(true);
    expect(model.results).toHaveLength(1);
  });

  it('ignores the late end of a process whose successor runs on another node', () => {
    const model = modelOf(
      recorded([
        processEvent({ node: 'node2', generation: 5 }),
        processEvent({ node: 'node1', generation: 3, from: 'stopping', to: 'stopped' }),
      ]),
    );
    expect(model.processes.get('prefill-0-0')).toMatchObject({ node: 'node2', state: 'ready' });
  });

  it('drops the ended processes of the previous point when the next begins', () => {
    const point = {
      kind: 'point.transition',
      name: 'p',
      from: null,
      to: 'planned',
      why: '',
      cause: null,
    } as const;
    const model = modelOf(
      recorded([
        processEvent({ to: 'failed' }),
        processEvent({ process: 'etcd', role: 'etcd' }),
        { ...point, ordinal: 1 },
      ]),
    );
    expect([...model.processes.keys()]).toEqual(['etcd']);
  });

  it('shows progress until the benchmark is collected', () => {
    const model = new JobModel();
    const events = wholeRun();
    const begun = events.findIndex(
      (event) => event.kind === 'point.transition' && event.to === 'benchmarking',
    );
    for (const event of events.slice(0, begun + 1)) model.take(event);
    model.takeProgress({ v: 1, at: '', ordinal: 0, progress });
    expect(model.progress).toEqual(progress);
    for (const event of events.slice(begun + 1)) model.take(event);
    expect(model.progress).toBeNull();
  });

  it('knows the load of present agents, and not of those that have left', () => {
    const model = new JobModel();
    model.takeHeartbeat(heartbeat);
    model.takeHeartbeat({ ...heartbeat, node: 'node2' });
    model.takeHeartbeat({ ...heartbeat, node: 'node3' });
    expect(model.pulses.get('node1')).toMatchObject({ alive: 3 });
    model.takeHeartbeat({ ...heartbeat, node: 'node2', leaving: true });
    for (const event of recorded([agentEvent('node3', 'lost')])) model.take(event);
    expect([...model.pulses.keys()]).toEqual(['node1']);
  });

  it('shows nothing of the previous point when the next one begins', () => {
    const point = (ordinal: number, from: PointState | null, to: PointState) =>
      ({ kind: 'point.transition', ordinal, name: `p${ordinal}`, from, to, why: '', cause: null }) as const;
    const benchmark = { process: 'benchmark', role: 'benchmark', node: 'node1' } as const;
    const model = modelOf(
      recorded([
        processEvent(),
        point(0, null, 'benchmarking'),
        processEvent({ ...benchmark, to: 'ready' }),
        point(0, 'benchmarking', 'done'),
        point(1, null, 'planned'),
      ]),
    );
    model.takeProgress({ v: 1, at: '', ordinal: 0, progress });
    expect(model.progress).toBeNull();
    expect([...model.processes.keys()], 'a worker is kept').toEqual(['prefill-0-0']);
    model.take({ ...(recorded([point(1, 'planned', 'benchmarking')])[0] as SrtEvent), seq: 9 });
    model.takeProgress({ v: 1, at: '', ordinal: 1, progress });
    expect(model.progress).toEqual(progress);
  });

  it('shows no process that ended with a failed point, although its agent has not reported the end yet', () => {
    const point = (ordinal: number, from: PointState | null, to: PointState) =>
      ({ kind: 'point.transition', ordinal, name: `p${ordinal}`, from, to, why: '', cause: null }) as const;
    const model = modelOf(
      recorded([
        point(0, null, 'planned'),
        processEvent(),
        point(0, 'cleaning', 'failed'),
        point(0, null, 'planned'),
      ]),
    );
    expect([...model.processes.keys()]).toEqual([]);
  });
});
