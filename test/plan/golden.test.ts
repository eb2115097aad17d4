import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { planAllocation } from '../../src/cli/dry-run-plan.ts';
import { findClusterConfig } from '../../src/recipe/cluster.ts';
import { findRecipes, loadEach } from '../../src/recipe/load.ts';

/**
 * Plans of the public recipes as the reference implementation makes them, which are kept beside this repository and
 * not in it. Without them there is nothing to compare with; in CI that is a failure.
 */
const shared = resolve(import.meta.dirname, '../../../shared');
const present = existsSync(join(shared, 'golden')) || process.env.CI === 'true';

const engines = { sglang: 322, trtllm: 335, vllm: 12, mocker: 2 };

describe.skipIf(!present)('the plans of the public recipes', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'srtctl-golden-'));
  const plans = join(scratch, 'plans.ndjson');
  beforeAll(async () => writeFileSync(plans, (await planAll()).join('\n')), 60_000);
  afterAll(() => rmSync(scratch, { recursive: true, force: true }));

  it.each(Object.entries(engines))('for %s are those of the reference implementation', (engine, count) => {
    const golden = part(engine, join(shared, 'golden/plans.jsonl.gz'));
    expect(golden.length).toBeGreaterThanOrEqual(count);
    const file = join(scratch, 'golden.jsonl.gz');
    writeFileSync(file, gzipSync(golden.join('\n')));
    const compare = [join(shared, 'golden/compare.mjs'), plans, file];
    expect(execFileSync(process.execPath, compare, { encoding: 'utf8' })).toMatch(/\b0 differences/);
  });
});

interface GoldenPlan {
  readonly backend: string;
  readonly workers: readonly { readonly env: Record<string, string> }[];
}

/** The plans of an engine, without what the reference draws at random for each: here it follows from the endpoint. */
const part = (engine: string, file: string): string[] =>
  gunzipSync(readFileSync(file))
    .toString()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as GoldenPlan)
    .filter(({ backend }) => backend === engine)
    .map((plan) => {
      for (const { env } of plan.workers ?? []) delete env.TRTLLM_EPLB_SHM_NAME;
      return JSON.stringify(plan);
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
