import { expect, it } from 'vitest';
import { forbiddenBy } from '../../src/cli/nodes/exec-bus.ts';
import type { JobSpec } from '../../src/messages/job-directory/job-files.ts';

it('commands on nodes are forbidden by any point of the recipe, or by srtslurm.yaml', () => {
  const by = (variant: unknown, cluster: unknown = {}) =>
    forbiddenBy({ spec: { variant, cluster } as JobSpec });
  const point = (exec: boolean) => ({ recipe: { bus: { tls: false, exec } } });
  expect(by({ points: [point(true)] })).toBeUndefined();
  expect(by({ points: [point(true), point(false)] })).toBe('its recipe');
  expect(by({ points: [point(true)] }, { bus: { exec: false } })).toBe('srtslurm.yaml');
  // A job of an earlier release.
  expect(by({ points: [{ recipe: {} }] })).toBeUndefined();
  expect(by(undefined, undefined)).toBeUndefined();
});
