import { expect, it } from 'vitest';
import { supervisionOf } from '../../../src/coordinator/agents/roster.ts';
import { supervisionSchema } from '../../../src/recipe/values/supervision.ts';

const problems = (value: object): string[] =>
  supervisionSchema.safeParse(value).error?.issues.map(({ path, message }) => `${path} ${message}`) ?? [];

it('times that fit each other are accepted, and one that does not fit is named', () => {
  expect(problems({})).toEqual([]);
  expect(problems({ heartbeat: 5, suspect_after: 10, lost_after: 20, lease: 60 })).toEqual([]);
  expect(problems({ heartbeat: 2 })).toEqual(['suspect_after must be longer than heartbeat (2 s)']);
  expect(problems({ lost_after: 1 })).toEqual(['lost_after must not be shorter than suspect_after (1.5 s)']);
  expect(problems({ lease: 2 })).toEqual(['lease must be at least three times heartbeat (1 s)']);
});

it('the coordinator gets milliseconds', () => {
  expect(supervisionOf(supervisionSchema.parse({ lost_after: 2.5 }))).toEqual({
    heartbeatMs: 1_000,
    suspectAfterMs: 1_500,
    lostAfterMs: 2_500,
    reconnectMs: 1_000,
    leaseMs: 10_000,
  });
});
