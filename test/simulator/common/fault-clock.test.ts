import { describe, expect, it } from 'vitest';
import { FaultClock } from '../../../src/simulator/common/fault-clock.ts';
import { concerns, readFaults } from '../../../src/simulator/common/fault-schema.ts';

const clockOf = (text: string, now = 1_000) => new FaultClock(readFaults(text), now);

describe('the faults of a stand-in', () => {
  it.each([
    ['decode', 'decode-1-0', true],
    ['decode-1', 'decode-1-0', true],
    ['decode-1', 'decode-11-0', false],
    ['decode-1-0', 'decode-1-0', true],
    ['*-0', 'prefill-0-0', true],
    ['front*', 'frontend-2', true],
    ['*', '', true],
    ['router', 'frontend-0', false],
  ])('of %s concern %s: %s', (process, id, expected) => {
    const [fault] = readFaults(JSON.stringify([{ do: 'die', process }]));
    expect(fault && concerns(fault, id)).toBe(expected);
  });

  it.each(['{', '[{do: dance}]', '[{do: die, when: 3}]', './no-such-file', 'die'])(
    'end it when they cannot be parsed: %s',
    (text) => {
      expect(() => readFaults(text)).toThrow(/^SRTCTL_SIM_FAULTS: /);
    },
  );

  it('apply from a time on, for a while, to some paths', () => {
    const clock = clockOf('[{do: slow, after_ms: 100, for_ms: 50, path: /health}]');
    expect(clock.on('slow', 1_099, '/health')).toBeUndefined();
    expect(clock.on('slow', 1_100, '/health_generate')).toBeDefined();
    expect(clock.on('slow', 1_100, '/v1/models')).toBeUndefined();
    expect(clock.on('refuse', 1_100, '/health')).toBeUndefined();
    expect(clock.on('slow', 1_150, '/health')).toBeUndefined();
  });

  it('start with the n-th request', () => {
    const clock = clockOf('[{do: stall, request: 2, after_ms: 10}]');
    clock.requestAt(2_000);
    expect(clock.on('stall', 9_000)).toBeUndefined();
    clock.requestAt(3_000);
    expect(clock.on('stall', 3_009)).toBeUndefined();
    expect(clock.on('stall', 3_010)).toBeDefined();
  });

  it('apply to one point, and count the requests of that point', () => {
    const clock = clockOf('[{do: stall, point: 1, request: 2}, {do: slow, point: late, after_ms: 5}]');
    clock.pointIs({ ordinal: 0, name: 'early', attempt: 1 }, 1_000);
    for (let request = 0; request < 5; request++) clock.requestAt(1_500);
    expect(clock.on('stall', 1_600)).toBeUndefined();
    clock.pointIs({ ordinal: 1, name: 'late', attempt: 1 }, 2_000);
    expect(clock.on('slow', 2_004)).toBeUndefined();
    expect(clock.on('slow', 2_005)).toBeDefined();
    clock.requestAt(2_100);
    expect(clock.on('stall', 2_100)).toBeUndefined();
    clock.requestAt(2_200);
    expect(clock.on('stall', 2_200)).toBeDefined();
    clock.pointIs({ ordinal: 2, name: 'after', attempt: 1 }, 3_000);
    expect([clock.on('stall', 9_000), clock.on('slow', 9_000)]).toEqual([undefined, undefined]);
  });

  it('apply to one attempt', () => {
    const clock = clockOf('[{do: refuse, attempt: 2}]');
    clock.pointIs({ ordinal: 0, name: 'p', attempt: 1 }, 1_000);
    expect(clock.on('refuse', 1_000)).toBeUndefined();
    clock.pointIs({ ordinal: 0, name: 'p', attempt: 2 }, 2_000);
    expect(clock.on('refuse', 2_000)).toBeDefined();
  });
});
