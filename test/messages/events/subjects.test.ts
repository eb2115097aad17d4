import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromToken, streamOf, subjectsOf, toToken } from '../../../src/messages/events/subjects.ts';

describe('subject tokens', () => {
  it('are one token each, differ for different names, and can be decoded', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), fc.string({ minLength: 1 }), (a, b) => {
        expect(toToken(a)).toMatch(/^[A-Za-z0-9_%-]+$/);
        expect(fromToken(toToken(a))).toBe(a);
        if (a !== b) expect(toToken(a)).not.toBe(toToken(b));
      }),
    );
  });

  it('prevent that a dotted host name splits or widens a subject', () => {
    expect(subjectsOf('1').heartbeat('gpu1.cluster.local').split('.')).toHaveLength(5);
    expect(subjectsOf('1').heartbeat('>')).not.toContain('>');
    expect(streamOf('a.b*c')).toMatch(/^[A-Za-z0-9_-]+$/);
  });
});
