import { describe, expect, it } from 'vitest';
import { goodputOf } from '../../../src/report/model/goodput.ts';
import { parseRequests } from '../../../src/report/model/requests.ts';
import { row } from '../sources.ts';

const record = (at: number, given: object = {}): string =>
  JSON.stringify({
    ...{ i: at, intended: at, sent: 10 * at, first: 10 * at + 5, last: 10 * at + 25, end: 10 * at + 25 },
    ...{
      gapsUs: [],
      chunks: 3,
      asked: [8, 3],
      tokens: [8, 3],
      bytes: 1,
      status: 200,
      finish: 'length',
      error: null,
    },
    ...given,
  });
const file = [
  JSON.stringify({ v: 1, since: 1_700, unit: 'ms' }),
  record(0),
  record(1, { end: 110, tokens: null }),
  record(2, { error: 'HTTP 503' }),
  record(3, { tokens: [8, 1] }),
  '{"leftOut":0}',
  '{"torn',
].join('\n');

describe('per-request records', () => {
  it('give times from the sending of each completed request', () => {
    expect(parseRequests(file, 10)).toEqual({
      since: 1_700,
      ttftMs: [5, 5, 5],
      tpotMs: [10, 47.5, null],
      e2elMs: [25, 100, 25],
      outputTokens: [3, 3, 1],
      completed: 3,
      failed: 1,
    });
    expect(parseRequests('', 10)).toBeUndefined();
  });

  it('are evenly chosen when there are too many', () => {
    const many = Array.from({ length: 100 }, (_, at) => record(at, { end: 10 * at + 5 + at })).join('\n');
    expect(parseRequests(many, 4)).toMatchObject({ completed: 100, e2elMs: [5, 30, 55, 80] });
  });

  it('say what was within limits, of all requests and for each second', () => {
    const requestsFile = parseRequests(file, 10);
    const one = row({ durationS: 2, ...(requestsFile ? { requestsFile } : {}) });
    expect(goodputOf(one, {})).toEqual({ share: 0.75, requestThroughput: 1.5, outputThroughput: 3.5 });
    expect(goodputOf(one, { tpotMs: 20 })).toEqual({ share: 0.5, requestThroughput: 1, outputThroughput: 2 });
    expect(goodputOf(one, { ttftMs: 1 })?.share).toBe(0);
    expect(goodputOf(row(), {})).toBeUndefined();
  });
});
