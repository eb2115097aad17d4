import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Clock } from '../../../src/simulator/common/clock.ts';
import { Scheduler, type Work } from '../../../src/simulator/engine/scheduler.ts';
import {
  expectedTpotMs,
  expectedTtftMs,
  prefillMs,
  stepMs,
  transferMs,
} from '../../../src/simulator/engine/speed-model.ts';

/** A clock that the test advances. A timer fires when the clock passes it, as late as the jump makes it. */
class ManualClock implements Clock {
  #now = 0;
  readonly timers = new Map<object, { at: number; run: () => void }>();
  now = (): number => this.#now;
  at(at: number, run: () => void): () => void {
    const key = {};
    this.timers.set(key, { at, run });
    return () => this.timers.delete(key);
  }
  /** Advances to `at` in one jump. */
  jumpTo(at: number): void {
    this.#now = at;
    for (;;) {
      const due = [...this.timers].find(([, timer]) => timer.at <= at);
      if (!due) return;
      this.timers.delete(due[0]);
      due[1].run();
    }
  }
  /** Advances from timer to timer, so that each fires on time. */
  run(until = Number.POSITIVE_INFINITY): void {
    for (;;) {
      const next = Math.min(...[...this.timers.values()].map(({ at }) => at));
      if (!(next <= until) || next === Number.POSITIVE_INFINITY) return;
      this.jumpTo(Math.max(next, this.#now));
    }
  }
}

function setUp(options: { maxRunning?: number; speed?: number } = {}) {
  const clock = new ManualClock();
  const scheduler = new Scheduler({
    clock,
    speed: options.speed ?? 1,
    maxRunning: options.maxRunning ?? 256,
  });
  const submit = (work: Work, promptTokens: number, outputTokens: number) => {
    const tokens: { produced: number; at: number; dueAt: number }[] = [];
    const seen = { tokens, last: 0 };
    const abort = scheduler.submit(work, {
      promptTokens,
      outputTokens,
      arrivedAt: clock.now(),
      onTokens: (produced, last, dueAt) => {
        tokens.push({ produced, at: clock.now(), dueAt });
        if (last) seen.last++;
      },
    });
    return Object.assign(seen, { abort });
  };
  return { clock, scheduler, submit };
}

describe('the scheduler of a simulated engine', () => {
  it.each([1, 2])('gives a lone request its tokens at the times of the speed model, at speed %i', (speed) => {
    const { clock, submit } = setUp({ speed });
    const { tokens } = submit('generate', 1_000, 4);
    clock.run();
    const ttft = expectedTtftMs({ promptTokens: 1_000, disaggregated: false, speed });
    const tpot = expectedTpotMs({ batch: 1, speed });
    expect(tokens.map(({ produced }) => produced)).toEqual([1, 2, 3, 4]);
    for (const [index, { at }] of tokens.entries()) expect(at).toBeCloseTo(ttft + index * tpot);
  });

  it('gives a decode its first token one step after the transfer', () => {
    const { clock, submit } = setUp();
    const prefill = submit('prefill', 500, 100);
    clock.run();
    const decode = submit('decode', 500, 2);
    clock.run();
    expect(prefill.tokens).toEqual([{ produced: 1, at: prefillMs(500), dueAt: prefillMs(500) }]);
    const [first] = decode.tokens;
    expect(first?.at).toBeCloseTo(prefillMs(500) + transferMs(500) + stepMs(1));
    expect(first?.at).toBeCloseTo(expectedTtftMs({ promptTokens: 500, disaggregated: true }));
  });

  it('prefills prompts one by one, first come, first served', () => {
    const { clock, submit } = setUp();
    const all = [submit('prefill', 100, 1), submit('prefill', 300, 1), submit('prefill', 200, 1)];
    clock.run();
    const [one, two, three] = [prefillMs(100), prefillMs(300), prefillMs(200)] as const;
    expect(all.map(({ tokens }) => tokens[0]?.at)).toEqual([one, one + two, one + two + three]);
  });

  it('steps all running requests together, each step as long as its batch needs', () => {
    const { clock, submit } = setUp();
    const all = Array.from({ length: 4 }, () => submit('decode', 10, 3));
    clock.run();
    // The first ready request starts a step; the others join at its end.
    const stepsAlone = transferMs(10) + stepMs(1);
    expect(all[0]?.tokens.map(({ at }) => at)).toEqual(
      [0, 1, 2].map((steps) => expect.closeTo(stepsAlone + steps * stepMs(4))),
    );
    for (const { tokens } of all.slice(1)) expect(tokens[0]?.at).toBeCloseTo(stepsAlone + stepMs(4));
  });

  it('admits at most max-running-requests, the others in order', () => {
    const { clock, scheduler, submit } = setUp({ maxRunning: 2 });
    const all = Array.from({ length: 5 }, () => submit('generate', 10, 3));
    expect([scheduler.running, scheduler.queued]).toEqual([2, 3]);
    clock.run();
    const ends = all.map(({ tokens }) => tokens.at(-1)?.at ?? 0);
    expect(ends).toEqual([...ends].sort((a, b) => a - b));
    expect([scheduler.running, scheduler.queued]).toEqual([0, 0]);
  });

  it('does not drift with late timers: every due token is given at once', () => {
    const { clock, submit } = setUp();
    const { tokens } = submit('generate', 0, 1_000);
    for (let at = 50; at <= 1_000; at += 50) clock.jumpTo(at);
    const steps = Math.floor((1_000 - prefillMs(0) + 0.5) / stepMs(1));
    expect(tokens.at(-1)?.produced).toBe(1 + steps);
  });

  it('drops an aborted prompt, so that the next does not wait for it', () => {
    const { clock, submit } = setUp();
    const first = submit('prefill', 10_000, 1);
    const second = submit('prefill', 10_000, 1);
    const third = submit('prefill', 100, 1);
    clock.jumpTo(10);
    first.abort();
    second.abort();
    clock.run();
    expect(third.tokens[0]?.at).toBeCloseTo(10 + prefillMs(100));
    expect([...first.tokens, ...second.tokens]).toEqual([]);
  });

  it('gives an aborted request’s place to the next', () => {
    const { clock, scheduler, submit } = setUp({ maxRunning: 1 });
    const first = submit('generate', 10, 1_000_000);
    const second = submit('generate', 10, 2);
    clock.run(500);
    first.abort();
    expect([scheduler.running, scheduler.queued]).toEqual([1, 0]);
    clock.run();
    expect(second.tokens.at(-1)?.produced).toBe(2);
  });

  it('gives every request that is not aborted all of its tokens once, in any order of events', () => {
    const requestArbitrary = fc.record({
      work: fc.constantFrom<Work>('generate', 'prefill', 'decode'),
      prompt: fc.nat(2_000),
      output: fc.integer({ min: 1, max: 30 }),
      at: fc.nat(2_000),
      abortAt: fc.option(fc.nat(3_000)),
    });
    fc.assert(
      fc.property(
        fc.array(requestArbitrary, { maxLength: 12 }),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 90 }),
        (requests, maxRunning, jump) => {
          const { clock, scheduler, submit } = setUp({ maxRunning });
          const seen = new Map<number, ReturnType<typeof submit>>();
          for (let at = 0; at <= 4_000; at += jump) {
            clock.jumpTo(at);
            for (const [index, { work, prompt, output, ...times }] of requests.entries()) {
              if (times.at <= at && !seen.has(index)) seen.set(index, submit(work, prompt, output));
              if (times.abortAt !== null && times.abortAt <= at) seen.get(index)?.abort();
            }
          }
          clock.run();
          for (const [index, { work, output, abortAt }] of requests.entries()) {
            const { tokens = [], last } = seen.get(index) ?? {};
            const complete = tokens.at(-1)?.produced === (work === 'prefill' ? 1 : output);
            expect(last).toBe(complete ? 1 : 0);
            expect(complete || abortAt !== null).toBe(true);
          }
          expect([scheduler.running, scheduler.queued, clock.timers.size]).toEqual([0, 0, 0]);
        },
      ),
      { numRuns: 200 },
    );
  });
});
