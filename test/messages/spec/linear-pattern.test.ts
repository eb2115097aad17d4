import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LinearPattern, problemOfPattern } from '../../../src/messages/spec/linear-pattern.ts';

describe('a pattern', () => {
  it.each([
    ['ready', 'is ready now', true],
    ['^ready$', 'is ready', false],
    ['Uvicorn running on .*:\\d+', 'INFO: Uvicorn running on http://0.0.0.0:8000', true],
    ['a|b|cd', 'xcdx', true],
    ['(ab)+c', 'ababc', true],
    ['(?:ab){2,3}$', 'abab', true],
    ['^(?:ab){3}$', 'abab', false],
    ['[^a-c]x', 'ax', false],
    ['[]x]', ']', true],
    ['[a\\]b-]', '-', true],
    ['\\bGPU\\b', 'no GPUs', false],
    ['\\bGPU\\b', 'a GPU.', true],
    ['(?i)READY', 'Ready', true],
    ['(?P<name>x)y?', 'x', true],
    ['a{2,}', 'xaa', true],
    ['a{,2}', 'a{,2}', true],
    ['GMS ready:', 'GMS ready: 4 GPUs', true],
    ['x*', '', true],
    ['\\x41\\u0042\\u0043', 'ABC', true],
    ['a.c', 'a\u{1f600}c', true],
    ['^a\\Z', 'a', true],
    ['a\\\\u', 'a\\u', true],
  ])('%s in %s: %s', (pattern, text, expected) => {
    expect(new LinearPattern(pattern).test(text)).toBe(expected);
  });

  it('matches what a regular expression of JavaScript matches', () => {
    const piece = fc.constantFrom(
      'a',
      'b',
      'c',
      '.',
      '[ab]',
      '[^a]',
      '\\d',
      '\\w',
      '(a|b)',
      '(?:ab|c)',
      '^',
      '$',
      '\\b',
    );
    const count = fc.constantFrom('', '*', '+', '?', '{2}', '{1,2}', '*?');
    const patterns = fc.array(fc.tuple(piece, count), { minLength: 1, maxLength: 5 });
    const isPlace = (text: string) => ['^', '$', '\\b'].includes(text);
    fc.assert(
      fc.property(patterns, fc.array(fc.constantFrom('a', 'b', 'c', '1', ' ')), (parts, chars) => {
        const pattern = parts.map(([text, times]) => (isPlace(text) ? text : text + times)).join('');
        const text = chars.join('');
        expect(new LinearPattern(pattern).test(text)).toBe(new RegExp(pattern).test(text));
      }),
    );
  });

  it('takes no longer for patterns that make others try without end', () => {
    expect(new LinearPattern('^(a+)+$').test(`${'a'.repeat(500)}b`)).toBe(false);
    expect(new LinearPattern('(a|a)*(a|a)*(a|a)*c').test('a'.repeat(500))).toBe(false);
  });

  it.each([
    ['(?=a)', 'look-around'],
    ['(?<!a)b', 'look-around'],
    ['(a)\\1', 'back-reference'],
    ['(a', 'missing closing )'],
    ['a)', 'unexpected )'],
    ['[a', 'missing closing ]'],
    ['*a', 'missing argument to repetition operator'],
    ['a**', 'invalid nested repetition operator'],
    ['a{3,1}', 'invalid repeat count'],
    ['a{9999}', 'invalid repeat count'],
    ['((a{999}){999}){9}', 'invalid repeat count'],
    ['(?x)a', 'unsupported'],
    ['\\q', 'invalid escape sequence'],
    ['a\\', 'trailing backslash'],
    [`${'('.repeat(5_000)}a${')'.repeat(5_000)}`, 'nest'],
  ])('%s is refused', (pattern, problem) => {
    expect(problemOfPattern(pattern)).toContain(problem);
  });
});
