import { describe, expect, it } from 'vitest';
import { Deliveries, type Outcome } from '../../src/reporting/common/deliveries.ts';

const quick = { to: 'there', pauseMs: 1, mostPauseMs: 2 };

/** A receiver that gives these answers, and `done` after the last of them. */
function receiver(outcomes: Outcome[]) {
  const tried: number[] = [];
  const lines: string[] = [];
  const log = { warn: (_: object, text: string) => void lines.push(text) };
  const send = async (item: number): Promise<Outcome> => {
    tried.push(item);
    return outcomes.shift() ?? 'done';
  };
  return { tried, lines, log, send };
}
const soon = () => AbortSignal.timeout(5_000);

describe('reports on their way to one receiver', () => {
  it('arrive in their order, each again until it is taken', async () => {
    const { tried, lines, log, send } = receiver([{ again: 'HTTP 503' }, { again: 'HTTP 503' }]);
    const deliveries = new Deliveries<number>({ ...quick, send, log });
    deliveries.add(1);
    deliveries.add(2);
    expect(await deliveries.finish(soon())).toBe(0);
    expect(tried).toEqual([1, 1, 1, 2]);
    expect(lines).toEqual(['a report is not taken; it is sent again']);
  });

  it('are not sent again when they are refused', async () => {
    const { tried, lines, log, send } = receiver([{ refused: 'HTTP 422' }]);
    const deliveries = new Deliveries<number>({ ...quick, send, log });
    deliveries.add(1);
    deliveries.add(2);
    await deliveries.finish(soon());
    expect(tried).toEqual([1, 2]);
    expect(lines).toEqual(['a report is refused']);
  });

  it('are given up at the end when the receiver stays away', async () => {
    const { log, tried } = receiver([]);
    const gone: Outcome = { again: 'connection refused' };
    const end = new AbortController();
    const send = async (item: number): Promise<Outcome> => {
      tried.push(item);
      if (tried.length === 3) end.abort();
      return gone;
    };
    const deliveries = new Deliveries<number>({ ...quick, send, log });
    deliveries.add(1);
    deliveries.add(2);
    expect(await deliveries.finish(end.signal)).toBe(2);
    expect(tried).toEqual([1, 1, 1]);
  });

  it('are the newest ones when too many wait', async () => {
    const { tried, log, send } = receiver([]);
    const gone: number[] = [];
    const deliveries = new Deliveries<number>({
      ...quick,
      send,
      log,
      most: 3,
      onGone: (item) => gone.push(item),
    });
    for (const item of [1, 2, 3, 4, 5]) deliveries.add(item);
    await deliveries.finish(soon());
    expect(tried).toEqual([1, 4, 5]);
    expect([...gone].sort()).toEqual([1, 2, 3, 4, 5]);
  });
});
