import { describe, expect, it } from 'vitest';
import { hasEndedInSlurm } from '../../../src/platform/slurm/queue-entry.ts';
import { refuseExclusive, sbatchDirectives } from '../../../src/platform/slurm/sbatch.ts';
import { cluster, loadText, small } from '../../recipe/write.ts';

const variantOf = (lines: string) => {
  const [variant] = loadText(small + lines);
  const recipe = variant?.points[0]?.recipe;
  if (!variant || !recipe) throw new Error('no recipe');
  return { variant, recipe };
};

describe('sbatch options that exclude one another', () => {
  it.each([
    ['mem-per-gpu: 100G', '--mem-per-gpu=100G'],
    ['mem-per-cpu: 3968M', '--mem-per-cpu=3968M'],
  ])('are the recipe’s when the cluster sets another one: %s', (own, line) => {
    const config = cluster({ default_sbatch_directives: { mem: '0', constraint: 'ib' } });
    const { variant, recipe } = variantOf(`sbatch_directives: {${own}}\n`);
    const lines = sbatchDirectives(recipe, config, 1);
    expect(lines).toContain(`#SBATCH ${line}`);
    expect(lines).toContain('#SBATCH --constraint=ib');
    expect(lines.join('\n')).not.toContain('--mem=');
    expect(() => refuseExclusive(variant, config)).not.toThrow();
  });

  it('are refused with their place when one file sets both', () => {
    const { variant } = variantOf('sbatch_directives: {mem: 0, mem-per-gpu: 1G}\n');
    expect(() => refuseExclusive(variant, cluster({}))).toThrow(/mem and mem-per-gpu exclude one another/);
  });
});

it.each([
  ['RUNNING', false],
  ['COMPLETING', false],
  ['EXPEDITING', false],
  ['COMPLETED', true],
  ['NODE_FAIL', true],
  ['GONE', true],
])('a job in Slurm’s state %s has ended: %s', (state, ended) => {
  expect(hasEndedInSlurm({ state, reason: '', exitCode: null, nodes: '' })).toBe(ended);
});

describe('a mount that is impossible in a container', () => {
  it.each([
    ['extra_mount: ["/data/my models:/data"]', /white space/],
    ['extra_mount: ["/a:/b:ro:x"]', /more parts than host:container:flags/],
    ['container_mounts: {"/opt/site:v2": /opt/site}', /colon/],
    ['container_mounts: {"/a,b": /c}', /comma/],
  ])('is refused before the start: %s', (line, message) => {
    expect(() => variantOf(`${line}\n`)).toThrow(message);
  });
});
