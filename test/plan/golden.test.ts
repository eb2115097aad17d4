import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { planAllocation } from '../../src/cli/dry-run/plan.ts';
import { findRecipes, loadEach } from '../../src/recipe/load.ts';
import { findClusterConfig } from '../../src/recipe/schema/cluster.ts';
import { ABSENT, ANY, differences, type GoldenPlan } from './golden-differences.ts';
import { edited } from './golden-edit.ts';

/**
 * The reference implementation's plans of the public recipes. They are kept beside this repository and not in it.
 * Without them there is nothing to compare; in CI that is a failure.
 */
const shared = resolve(import.meta.dirname, '../../../shared');
const present = existsSync(join(shared, 'golden')) || process.env.CI === 'true';

const engines = { sglang: 322, trtllm: 335, vllm: 12, mocker: 2 };

describe.skipIf(!present)('the plans of the public recipes', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'srtctl-golden-'));
  const plans = join(scratch, 'plans.ndjson');
  let ours: string[] = [];
  beforeAll(async () => {
    ours = await planAll();
    writeFileSync(plans, ours.join('\n'));
  }, 240_000);
  afterAll(() => rmSync(scratch, { recursive: true, force: true }));

  it.each(Object.entries(engines))(
    'for %s differ from those of the reference only as listed',
    (engine, count) => {
      const golden = goldenPlans().filter(({ backend }) => backend === engine);
      expect(golden.length).toBeGreaterThanOrEqual(count);
      const file = join(scratch, 'golden.jsonl.gz');
      const expected = edited(golden, ours).plans.map((plan) => JSON.stringify(plan));
      writeFileSync(file, gzipSync(expected.join('\n')));
      const compare = [join(shared, 'golden/compare.mjs'), plans, file];
      const { stdout } = spawnSync(process.execPath, compare, { encoding: 'utf8' });
      expect(stdout).toMatch(/\b0 differences/);
    },
  );

  it('need every entry of the list', () => {
    const { used } = edited(goldenPlans(), ours);
    expect(differences.filter((entry) => !used.has(entry)).map(({ reason }) => reason)).toEqual([]);
  });

  const goldenPlans = (): GoldenPlan[] =>
    gunzipSync(readFileSync(join(shared, 'golden/plans.jsonl.gz')))
      .toString()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as GoldenPlan);
});

describe('the list of differences', () => {
  const plan: GoldenPlan = {
    ...{ file: 'a.yaml', variant: '', params: { n: 8 }, backend: 'trtllm', frontend: 'trtllm-serve' },
    workers: [{ argv: ['serve', '--a', '1', '--b'], env: { PORT: '1' }, nodes: ['node1'], log: 'w.out' }],
    frontends: [{ argv: ['router', '--config', 'x.yaml'], env: {}, nodes: ['node1'] }],
  };
  const ours = (worker: { argv: string[]; env: Record<string, string> }) =>
    JSON.stringify({
      ...{ file: '/x/recipes/a.yaml', variant: '' },
      points: [
        {
          params: { n: '8' },
          processes: [
            { role: 'agg', node: 'node1', log: 'w.out', ...worker },
            { role: 'frontend', node: 'node1', log: 'r.out', argv: ['router', '-c', 'x.yaml'], env: {} },
          ],
        },
      ],
    });
  const reason = 'a test';

  it('edits options and variables when both sides match the entry', () => {
    const list = [
      { process: 'worker', option: '--a', golden: '1', ours: ANY, reason },
      { process: 'worker', option: '--c', golden: ABSENT, ours: 'x y', reason },
      { process: 'worker', variable: 'PORT', golden: ANY, ours: ABSENT, reason },
      { process: 'frontend', option: '--config', renamed: '-c', reason },
    ] as const;
    const lines = [ours({ argv: ['serve', '--a', '2', '--b', '--c', 'x', 'y'], env: {} })];
    const { plans, used } = edited([plan], lines, list);
    expect(plans[0]?.workers[0]).toMatchObject({
      argv: ['serve', '--a', '2', '--b', '--c', 'x', 'y'],
      env: {},
    });
    expect(plans[0]?.frontends[0]?.argv).toEqual(['router', '-c', 'x.yaml']);
    expect(used.size).toBe(list.length);
  });

  it('does not change other differences, or values that do not differ', () => {
    const list = [
      { process: 'worker', option: '--a', golden: '1', ours: '3', reason },
      { process: 'worker', variable: 'PORT', golden: ANY, ours: ANY, reason },
      { process: 'worker', backend: 'vllm', option: '--b', golden: ANY, ours: ABSENT, reason },
    ] as const;
    const lines = [ours({ argv: ['serve', '--a', '2'], env: { PORT: '1' } })];
    const { plans, used } = edited([plan], lines, list);
    expect(plans[0]).toEqual(plan);
    expect(used.size).toBe(0);
  });
});

async function planAll(): Promise<string[]> {
  const cluster = findClusterConfig({ SRTSLURM_CONFIG: join(shared, 'golden/srtslurm.yaml') }, shared);
  const files = await findRecipes([join(shared, 'recipes')]);
  return [...loadEach(files, { cluster, env: {} })].map(({ file, result }) => {
    const line = 'error' in result ? result : planAllocation(result.loaded, cluster);
    return JSON.stringify(
      'error' in line ? { file, variant: result.variant, error: line.error.oneLine() } : line,
    );
  });
}
