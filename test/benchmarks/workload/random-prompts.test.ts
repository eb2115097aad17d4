import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { idContents, wordContents } from '../../../src/benchmarks/loadgen/workload/contents.ts';
import { seededRandom } from '../../../src/benchmarks/loadgen/workload/random.ts';
import { first, randomPrompts } from '../../../src/benchmarks/loadgen/workload/random-prompts.ts';

const ids = [7, 1_000, 20_999];
const plain = { sharedPrefixRatio: 0, seed: 1 };

describe('random prompts', () => {
  it('have lengths between ratio × length and length, and are the same for the same seed', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 300 }),
        fc.integer({ min: 1, max: 300 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.integer(),
        (isl, osl, randomRangeRatio, seed) => {
          const shape = { ...plain, isl, osl, randomRangeRatio };
          const make = () => [...first(5, randomPrompts(shape, idContents(ids), seededRandom(seed)))];
          const prompts = make();
          expect(make()).toEqual(prompts);
          expect(prompts).toHaveLength(5);
          for (const { content, inputTokens, outputTokens } of prompts) {
            expect(content).toHaveLength(inputTokens);
            expect((content as number[]).every((id) => ids.includes(id))).toBe(true);
            expect(inputTokens).toBeLessThanOrEqual(isl);
            expect(inputTokens).toBeGreaterThanOrEqual(Math.max(1, Math.floor(isl * randomRangeRatio)));
            expect(outputTokens).toBeLessThanOrEqual(osl);
          }
        },
      ),
    );
  });

  it('are as many words as tokens for a server that accepts only text', () => {
    const shape = { ...plain, isl: 40, osl: 1, randomRangeRatio: 0.5 };
    for (const { content, inputTokens, isExact } of first(
      20,
      randomPrompts(shape, wordContents, seededRandom(3)),
    )) {
      expect(String(content).split(' ')).toHaveLength(inputTokens);
      expect(isExact).toBeUndefined();
    }
  });

  it('are made when they are needed, not all at once', () => {
    const shape = { ...plain, isl: 8_192, osl: 1, randomRangeRatio: 1 };
    const prompts = randomPrompts(shape, idContents(ids), seededRandom(3));
    expect(prompts.next().value?.inputTokens).toBe(8_192);
  });

  it('begin with the same share, which differs from point to point', () => {
    const many = Array.from({ length: 1_000 }, (_, id) => id);
    const begins = (seed: number) => {
      const shape = { isl: 100, osl: 1, randomRangeRatio: 1, sharedPrefixRatio: 0.6, seed };
      return [...first(8, randomPrompts(shape, idContents(many), seededRandom(seed)))].map(
        ({ content }) => content,
      );
    };
    const [one = [], ...others] = begins(1) as number[][];
    for (const other of others) {
      expect(other.slice(0, 60)).toEqual(one.slice(0, 60));
      expect(other.slice(60)).not.toEqual(one.slice(60));
    }
    expect(begins(2)[0]?.slice(0, 60)).not.toEqual(one.slice(0, 60));
  });

  it('leave room for what the engine adds, and are in all as long as asked', () => {
    const shape = { ...plain, isl: 50, osl: 1, randomRangeRatio: 1 };
    const prompts = randomPrompts(shape, idContents(ids), seededRandom(1), () => 7);
    const { content, inputTokens } = prompts.next().value ?? {};
    expect([content?.length, inputTokens]).toEqual([43, 50]);
  });
});
