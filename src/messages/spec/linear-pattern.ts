import { RE2JS, RE2JSException } from 're2js';

/** What is wrong with a pattern. */
export class PatternProblem extends Error {
  override readonly name = 'PatternProblem';
}

/** Parts of Python's and JavaScript's patterns that RE2 writes in another way. */
const WRITTEN_OTHERWISE: readonly (readonly [RegExp, string])[] = [
  [/(?<!\\)((?:\\\\)*)\\u([0-9A-Fa-f]{4})/g, '$1\\x{$2}'],
  [/(?<!\\)((?:\\\\)*)\\Z/g, '$1\\z'],
];

/**
 * A regular expression of other people, that a text is searched for in time proportional to its length, whatever both of
 * them are. Its syntax is that of RE2 (https://github.com/google/re2/wiki/Syntax), which has neither look-around nor
 * back-references, because both need more time.
 */
export class LinearPattern {
  readonly #compiled: RE2JS;

  /** @throws PatternProblem */
  constructor(pattern: string) {
    const written = WRITTEN_OTHERWISE.reduce((text, [from, to]) => text.replace(from, to), pattern);
    try {
      this.#compiled = RE2JS.compile(written);
    } catch (error) {
      if (error instanceof RE2JSException) throw new PatternProblem(saysOf(pattern, error));
      throw error;
    }
  }

  /** Whether any part of a line matches. */
  test(line: string): boolean {
    return this.#compiled.test(line);
  }
}

/** undefined for a pattern that can be used. */
export function problemOfPattern(pattern: string): string | undefined {
  try {
    new LinearPattern(pattern);
    return undefined;
  } catch (error) {
    if (error instanceof PatternProblem) return error.message;
    throw error;
  }
}

function saysOf(pattern: string, { message }: RE2JSException): string {
  if (/\(\?<?[=!]/.test(pattern)) return 'has look-around, which cannot be searched for in linear time';
  if (/\\[1-9]/.test(pattern)) return 'has a back-reference, which cannot be searched for in linear time';
  return `is no regular expression: ${message.replace(/^error parsing regexp: /, '')}`;
}
