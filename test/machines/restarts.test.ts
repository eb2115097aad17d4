import { describe, expect, it } from 'vitest';
import { createActor, fromCallback, SimulatedClock, setup } from 'xstate';
import type { FleetEvent, PointEvent, RestartEvent } from '../../src/machines/addresses.ts';
import { afterEnd } from '../../src/machines/restart-policy.ts';
import { type RestartsInput, restartsMachine } from '../../src/machines/restarts.ts';
import type { RestartPolicy } from '../../src/messages/spec/process-spec.ts';

const policy: RestartPolicy = {
  ...{ endpoint: 'decode-1', when: 'on-failure', most: 3 },
  ...{ backoffMs: 10_000, mostBackoffMs: 15_000 },
};
const cause = { summary: 'decode 1 ended by SIGKILL', process: 'decode-1-0' };

/** The machine in a system with a fleet and a point that note what they hear. */
function start(input?: RestartsInput) {
  const heard: (FleetEvent | PointEvent)[] = [];
  const listener = <Event extends FleetEvent | PointEvent>() =>
    fromCallback<Event>(({ receive }) => receive((event) => void heard.push(event)));
  const clock = new SimulatedClock();
  const root = createActor(
    setup({
      actors: { fleet: listener<FleetEvent>(), point: listener<PointEvent>(), restarts: restartsMachine },
    }).createMachine({
      invoke: [
        { src: 'fleet', systemId: 'fleet' },
        { src: 'point', systemId: 'point' },
        { src: 'restarts', systemId: 'restarts', input },
      ],
    }),
    { clock },
  );
  root.start();
  const send = (event: RestartEvent) => root.system.get('restarts')?.send(event);
  const ended = (over: Partial<Extract<RestartEvent, { type: 'worker.ended' }>> = {}) =>
    send({ type: 'worker.ended', policy, cause, critical: true, clean: false, ...over });
  /** What was heard since the last call. */
  const news = () => heard.splice(0);
  return { clock, send, ended, news, actor: () => root.system.get('restarts') };
}

const started = (number: number, endpoint = 'decode-1') => ({ type: 'endpoint.start', endpoint, number });

describe('a worker that ends while it is wanted', () => {
  it('starts again after a pause that doubles up to its limit', () => {
    const { clock, ended, news } = start();
    for (const [number, delayMs] of [
      [1, 10_000],
      [2, 15_000],
      [3, 15_000],
    ] as const) {
      ended();
      expect(news()).toEqual([{ type: 'endpoint.rest', policy, number, delayMs, cause }]);
      clock.increment(delayMs - 1);
      expect(news()).toEqual([]);
      clock.increment(1);
      expect(news()).toEqual([started(number)]);
    }
  });

  it('fails the point when it has started again as often as it may', () => {
    const { clock, ended, news } = start({ numbers: { 'decode-1': 3 }, waiting: [] });
    ended();
    clock.increment(100_000);
    const summary = 'decode 1 ended by SIGKILL; it has started again 3 of 3 times (max_restarts)';
    expect(news()).toEqual([{ type: 'point.broken', cause: { ...cause, summary } }]);
  });

  it('and is not critical is left alone after that', () => {
    const { clock, ended, news } = start({ numbers: { 'decode-1': 3 }, waiting: [] });
    ended({ critical: false });
    clock.increment(100_000);
    expect(news()).toEqual([]);
  });

  it('is decided on once: its other ranks end with it', () => {
    const { clock, ended, news } = start();
    ended();
    ended();
    clock.increment(10_000);
    expect(news().map(({ type }) => type)).toEqual(['endpoint.rest', 'endpoint.start']);
  });

  it('is counted by itself: another worker has its own number and its own time', () => {
    const { clock, ended, news } = start();
    ended();
    clock.increment(4_000);
    ended({ policy: { ...policy, endpoint: 'decode-2' } });
    news();
    clock.increment(6_000);
    expect(news()).toEqual([started(1)]);
    clock.increment(4_000);
    expect(news()).toEqual([started(1, 'decode-2')]);
  });

  it('does not start again when nothing is wanted any more, and that restart does not count', () => {
    const { clock, send, ended, news } = start();
    ended();
    send({ type: 'workers.released' });
    news();
    clock.increment(100_000);
    expect(news()).toEqual([]);
    ended();
    expect(news()).toMatchObject([{ type: 'endpoint.rest', number: 1, delayMs: 10_000 }]);
  });

  it('waits only for the rest of its pause under the next coordinator, and its number goes on', () => {
    const waiting = [{ endpoint: 'decode-1', number: 2, leftMs: 3_000 }];
    const { clock, ended, news, actor } = start({ numbers: { 'decode-1': 2 }, waiting });
    ended();
    expect(news()).toEqual([]);
    clock.increment(3_000);
    expect(news()).toEqual([started(2)]);
    ended();
    expect(news()).toMatchObject([{ type: 'endpoint.rest', number: 3 }]);
    expect(actor()?.getSnapshot().context.unexpected).toEqual([]);
  });
});

describe('the end of a worker with exit code 0', () => {
  it('is no failure for on-failure, and one for always', () => {
    expect(afterEnd(policy, 0, true)).toMatchObject({ is: 'over' });
    expect(afterEnd({ ...policy, when: 'always' }, 0, true)).toMatchObject({ is: 'restart', number: 1 });
  });

  it('never starts a worker again that may not', () => {
    expect(afterEnd({ ...policy, most: 0 }, 0, false)).toMatchObject({ is: 'over' });
  });
});
