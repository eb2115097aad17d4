import { describe, expect, it } from 'vitest';
import { requireOpenFiles, threadsFor } from '../../src/benchmarks/loadgen/threads/limits.ts';
import { pack, unpack } from '../../src/benchmarks/loadgen/threads/messages.ts';
import { measured } from '../support/measured.ts';

describe('the threads of the load generator', () => {
  it('are as many as the concurrency needs, and leave half of the cores', () => {
    const auto = { clientThreads: null };
    expect(threadsFor(auto, 1, 64)).toBe(1);
    expect(threadsFor(auto, 512, 64)).toBe(1);
    expect(threadsFor(auto, 513, 64)).toBe(2);
    expect(threadsFor(auto, 21_504, 192)).toBe(16);
    expect(threadsFor(auto, 21_504, 2)).toBe(1);
    expect(threadsFor(auto, 21_504, 1)).toBe(1);
    expect(threadsFor({ clientThreads: 4 }, 64, 2)).toBe(4);
    expect(threadsFor({ clientThreads: 4 }, 2, 64)).toBe(2);
  });

  it('move measurements without a loss, to the main thread’s clock', () => {
    const all = [
      measured({ index: 1, startedAt: 10, ttftMs: 5, gapsMs: [1, 2], endedAt: 18, outputTokens: 3 }),
      measured({ index: 2, startedAt: 20, error: 'no', gapsMs: [] }),
      measured({ index: 3, startedAt: 30, gapsMs: [4] }),
    ];
    const moved = unpack(structuredClone(pack(all, 100)));
    expect(moved.map(({ gapsMs }) => [...gapsMs])).toEqual([[1, 2], [], [4]]);
    expect(moved[0]).toMatchObject({ index: 1, startedAt: 110, firstAt: 115, ttftMs: 5, endedAt: 118 });
    expect(moved[1]).toMatchObject({ index: 2, error: 'no' });
  });

  it('are not started where there are too few open files', () => {
    expect(() => requireOpenFiles(1_000, 1_064)).not.toThrow();
    expect(() => requireOpenFiles(1_000, undefined)).not.toThrow();
    expect(() => requireOpenFiles(21_504, 4_096)).toThrow(
      'concurrency 21504 needs 21568 open files, and this process may have 4096',
    );
  });
});
