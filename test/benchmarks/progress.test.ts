import { describe, expect, it } from 'vitest';
import { tokensSoFar } from '../../src/benchmarks/loadgen/progress.ts';

describe('output tokens so far', () => {
  it('are the chunks, as long as no answer has ended', () => {
    expect(tokensSoFar(12, { chunks: 0, tokens: 0 })).toBe(12);
  });

  it('are those of ended answers by usage, and as many a chunk in the others', () => {
    expect(tokensSoFar(30, { chunks: 20, tokens: 160 })).toBe(240);
    expect(tokensSoFar(20, { chunks: 20, tokens: 160 })).toBe(160);
  });
});
