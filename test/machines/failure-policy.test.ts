import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { afterFailure, failurePolicy, isSameFailure } from '../../src/machines/failure-policy.ts';

describe('two failures are of one kind', () => {
  it.each([
    ['at other ranks and times', 'rank 3 died after 12.5 s', 'rank 7 died after 2 s'],
    ['on another node', 'no space left on node1', 'no space left on node2'],
    ['at another address', 'cannot bind 10.0.0.1:8000', 'cannot bind 10.0.0.2:30001'],
    ['with another pointer', 'illegal access at 0x7f00deadbeef', 'illegal access at 0x7f11cafe0000'],
  ])('%s', (_, a, b) => {
    expect(isSameFailure({ summary: a, node: 'node1' }, { summary: b, node: 'node2' })).toBe(true);
  });

  it('when the catalogue says so, although the texts differ', () => {
    expect(isSameFailure({ summary: 'a', signature: 'oom' }, { summary: 'b', signature: 'oom' })).toBe(true);
    expect(isSameFailure({ summary: 'a', signature: 'oom' }, { summary: 'a', signature: 'nccl' })).toBe(
      false,
    );
    expect(isSameFailure({ summary: 'a', signature: 'oom' }, { summary: 'a' })).toBe(false);
  });

  it('not when the texts or the ways to end differ', () => {
    expect(isSameFailure({ summary: 'out of memory' }, { summary: 'connection refused' })).toBe(false);
    expect(isSameFailure({ summary: 'ended', signal: 'SIGKILL' }, { summary: 'ended', exitCode: 1 })).toBe(
      false,
    );
    expect(
      isSameFailure({ summary: 'ended', error: 'no disk' }, { summary: 'ended', error: 'no port' }),
    ).toBe(false);
  });
});

describe('after a failure', () => {
  it('a point is tried at most once and `retry` times more', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.array(fc.string(), { maxLength: 40 }),
        (retry, words) => {
          const policy = failurePolicy({ retry, pause: 0 });
          const failures: { summary: string }[] = [];
          for (const summary of ['first', ...words]) {
            failures.push({ summary });
            if (afterFailure(policy, failures) !== 'retry') break;
          }
          expect(failures.length).toBeLessThanOrEqual(retry + 1);
          expect(failures.length).toBeLessThanOrEqual(words.length + 1);
        },
      ),
    );
  });

  it('continue and abort have no second attempt', () => {
    expect(afterFailure(failurePolicy('continue'), [{ summary: 'x' }])).toBe('next');
    expect(afterFailure(failurePolicy('abort'), [{ summary: 'x' }])).toBe('abort');
  });
});
