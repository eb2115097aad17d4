import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll } from 'vitest';
import { type LoadOptions, loadAll } from '../../src/recipe/load.ts';
import { type ClusterConfig, clusterConfigSchema } from '../../src/recipe/schema/cluster.ts';
import { RecipeProblems } from '../../src/recipe/source/problems.ts';

const directories: string[] = [];
afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

/** Writes files into a temporary directory, removed after the test file. Returns the directory. */
export function writeFiles(files: Readonly<Record<string, string>>): string {
  const directory = mkdtempSync(join(tmpdir(), 'srtctl-recipe-'));
  directories.push(directory);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), text);
  }
  return directory;
}

export const cluster = (config: unknown = {}): ClusterConfig => clusterConfigSchema.parse(config);

export function loadText(text: string, options: Partial<LoadOptions> = {}) {
  const file = join(writeFiles({ 'recipe.yaml': text }), 'recipe.yaml');
  return loadAll([{ file }], { cluster: cluster(), env: {}, ...options });
}

/** The error from loading a text, in one line and without the directory. */
export function lineOf(text: string): string {
  try {
    loadText(text);
  } catch (error) {
    if (error instanceof RecipeProblems) return error.oneLine().replace(/^.*recipe\.yaml/, 'recipe.yaml');
    throw error;
  }
  throw new Error('the recipe was taken');
}

/** A small recipe, disaggregated, with one node each. */
export const small = `name: small
model: {path: /models/m, container: repo/image:1, precision: fp8}
resources:
  gpu_type: h100
  gpus_per_node: 8
  prefill_nodes: 1
  prefill_workers: 1
  decode_nodes: 1
  decode_workers: 1
frontend:
  type: sglang
  enable_multiple_frontends: false
backend:
  sglang_config:
    prefill: {tensor-parallel-size: 8}
    decode: {tensor-parallel-size: 8}
benchmark: {type: sa-bench, isl: 128, osl: 128, concurrencies: 1x4}
`;
