import { describe, expect, it } from 'vitest';
import type { Measured } from '../../../src/benchmarks/loadgen/figures/measured.ts';
import { type Clock, type Intended, sendAll } from '../../../src/benchmarks/loadgen/pace/send-all.ts';
import type { PaceSettings } from '../../../src/benchmarks/loadgen/pace/settings.ts';
import type { Prompt } from '../../../src/benchmarks/loadgen/workload/prompt.ts';
import { seededRandom } from '../../../src/benchmarks/loadgen/workload/random.ts';
import { measured } from '../../support/measured.ts';

/** A clock that jumps to the next sleeper when nothing else can happen. */
class SimulatedClock implements Clock {
  #now = 0;
  readonly #sleepers = new Set<{ at: number; wake: () => void }>();
  #turning = false;

  now(): number {
    return this.#now;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const sleeper = { at: this.#now + ms, wake: () => {} };
      this.#sleepers.add(sleeper);
      const abort = (): void => {
        this.#sleepers.delete(sleeper);
        reject(signal?.reason as Error);
      };
      signal?.addEventListener('abort', abort, { once: true });
      sleeper.wake = () => {
        signal?.removeEventListener('abort', abort);
        resolve();
      };
      void this.#turn();
    });
  }

  async #turn(): Promise<void> {
    if (this.#turning) return;
    this.#turning = true;
    while (this.#sleepers.size > 0) {
      // Everything that follows from the last step happens before time goes on.
      for (let turns = 0; turns < 5; turns++) await new Promise((resolve) => setImmediate(resolve));
      const [next] = [...this.#sleepers].toSorted((a, b) => a.at - b.at);
      if (!next) break;
      this.#sleepers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.wake();
    }
    this.#turning = false;
  }
}

interface Sent extends Intended {
  readonly at: number;
}

const plain: PaceSettings = {
  ...{ requestRate: 'inf', arrivals: 'constant', burstiness: 1, rampUpS: 0, durationS: null },
};

/** Sends prompts whose answers take `serviceMs`. */
async function runWith(
  over: Partial<PaceSettings>,
  {
    count = 20,
    concurrency = 4,
    serviceMs = 100,
    makingMs = 0,
    at,
  }: {
    count?: number;
    concurrency?: number;
    serviceMs?: number;
    makingMs?: number;
    at?: (index: number) => number;
  } = {},
) {
  const clock = new SimulatedClock();
  const sent: Sent[] = [];
  const done: Measured[] = [];
  let [inFlight, most] = [0, 0];
  async function* prompts(): AsyncGenerator<Prompt> {
    for (let index = 0; index < count; index++) {
      if (makingMs > 0) await clock.sleep(makingMs);
      const prompt = { content: 'x', inputTokens: 1, outputTokens: 1 };
      yield at ? { ...prompt, at: at(index) } : prompt;
    }
  }
  const load = await sendAll(prompts(), {
    concurrency,
    pace: { ...plain, ...over },
    random: seededRandom(1),
    signal: new AbortController().signal,
    async send(_, intended) {
      sent.push({ ...intended, at: clock.now() });
      most = Math.max(most, ++inFlight);
      await clock.sleep(serviceMs);
      inFlight--;
      return measured();
    },
    onMeasured: (one) => done.push(one),
    clock,
  });
  return { load, sent, done, most, end: clock.now() };
}

describe('a closed loop', () => {
  it('keeps as many requests in flight as the concurrency, each wanted when a place is free', async () => {
    const { load, sent, done, most, end } = await runWith({});
    expect([sent.length, done.length, most, end]).toEqual([20, 20, 4, 500]);
    for (const { at, intendedAt, heldMs } of sent) expect([intendedAt, heldMs]).toEqual([at, 0]);
    expect(load).toMatchObject({ shape: 'closed loop', arrivals: null, askedRate: null, drawnRate: null });
    expect(load.sentRate).toBeCloseTo(19 / 0.4);
  });

  it('raises the concurrency evenly in a ramp', async () => {
    const { sent, most } = await runWith({ rampUpS: 3 }, { concurrency: 4, count: 8, serviceMs: 10_000 });
    expect(most).toBe(4);
    expect(sent.slice(0, 4).map(({ at }) => at)).toEqual([0, 1_000, 2_000, 3_000]);
  });

  it('sends for a time, and lets what is in flight end', async () => {
    const { sent, done, end } = await runWith({ durationS: 1 }, { count: Number.POSITIVE_INFINITY });
    expect([sent.length, done.length, end]).toEqual([40, 40, 1_000]);
  });
});

describe('an open loop', () => {
  it('sends each request when it arrives', async () => {
    const { load, sent } = await runWith({ requestRate: 10 }, { concurrency: 100 });
    expect(sent.map(({ at }) => at)).toEqual(sent.map((_, index) => index * 100));
    expect(sent.every(({ at, intendedAt, heldMs }) => at === intendedAt && heldMs === 0)).toBe(true);
    expect(load).toMatchObject({ shape: 'open loop', arrivals: 'constant', askedRate: 10 });
    expect([load.drawnRate, load.sentRate]).toEqual([10, 10]);
  });

  it('tells a rate that the concurrency did not allow, and how long each request was held', async () => {
    const { load, sent, most } = await runWith({ requestRate: 100 }, { concurrency: 2 });
    expect(most).toBe(2);
    expect(load.drawnRate).toBeCloseTo(100);
    // Two at once, each for 100 ms.
    expect(load.sentRate).toBeCloseTo(19 / 0.91);
    expect(sent.at(-1)).toEqual({ intendedAt: 190, at: 910, heldMs: 720 });
    // It was the concurrency alone that held them.
    for (const { at, intendedAt, heldMs } of sent) expect(at - intendedAt).toBe(heldMs);
  });

  it('does not call a request held that was late without a full house', async () => {
    // Each prompt takes 300 ms to make.
    const { sent } = await runWith({ requestRate: 10 }, { count: 5, concurrency: 100, makingMs: 300 });
    expect(sent.map(({ at, intendedAt, heldMs }) => [at - intendedAt, heldMs])).toEqual(
      [300, 500, 700, 900, 1_100].map((late) => [late, 0]),
    );
  });

  it('sends what arrives in the time', async () => {
    const { sent } = await runWith(
      { requestRate: 10, durationS: 2 },
      { concurrency: 100, count: Number.POSITIVE_INFINITY },
    );
    expect(sent).toHaveLength(20);
  });

  it('follows the times of a trace', async () => {
    const { load, sent } = await runWith({}, { count: 4, concurrency: 9, at: (index) => index ** 2 * 100 });
    expect(sent.map(({ at }) => at)).toEqual([0, 100, 400, 900]);
    expect(load).toMatchObject({ shape: 'open loop', arrivals: 'trace', askedRate: null });
    expect(load.drawnRate).toBeCloseTo(3 / 0.9);
  });
});

it('a run that is stopped ends with the reason', async () => {
  const stop = new AbortController();
  const clock = new SimulatedClock();
  const running = sendAll([{ content: 'x', inputTokens: 1, outputTokens: 1, at: 5_000 }], {
    ...{ concurrency: 1, pace: plain, random: Math.random, signal: stop.signal, clock },
    send: () => Promise.resolve(measured()),
    onMeasured: () => undefined,
  });
  stop.abort(new Error('enough'));
  await expect(running).rejects.toThrow('enough');
});
