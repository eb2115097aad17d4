import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BenchmarkResult } from '../messages/job-directory/result.ts';
import { type ServingResult, servingResultSchema } from '../messages/job-directory/serving-result.ts';
import { parseJson } from './common/parse-json.ts';
import { loadgenConfigSchema, resultFileOf } from './loadgen/config.ts';
import { recordsFileOf } from './loadgen/figures/records.ts';
import { lineOf, reasonsOf, withLosses } from './loadgen/figures/why-not-valid.ts';
import { CONFIG_FILE } from './sa-bench-settings.ts';

/** The figures that the load generator left in a directory, and whether they count. `lossy`: requests may fail. */
export async function readFigures(resultDir: string, lossy: boolean): Promise<BenchmarkResult> {
  const config = parseJson(loadgenConfigSchema, await readFile(join(resultDir, CONFIG_FILE), 'utf8'));
  if ('problem' in config) return invalid(`${CONFIG_FILE}: ${config.problem}`);
  const { concurrencies } = config.value;
  const present = new Set(await readdir(resultDir));
  const files = concurrencies.map(resultFileOf).filter((name) => present.has(name));
  const records = concurrencies.map(recordsFileOf);
  const artifacts = [...files, ...records, CONFIG_FILE, 'benchmark.out'].filter((name) => present.has(name));
  const serving: ServingResult[] = [];
  for (const name of files) {
    const one = parseJson(servingResultSchema, await readFile(join(resultDir, name), 'utf8'));
    if ('problem' in one) return { ...invalid(`${name}: ${one.problem}`), serving, artifacts };
    serving.push(one.value);
  }
  const reasons = reasonsOf(concurrencies, serving, lossy);
  const figures = { serving: lossy ? serving.map(withLosses) : serving, artifacts };
  const reason = lineOf(reasons, serving);
  if (reason !== undefined) return { ...invalid(reason), reasons, ...figures };
  return { type: 'sa-bench', valid: true, ...figures };
}

const invalid = (reason: string): BenchmarkResult => ({
  type: 'sa-bench',
  valid: false,
  reason,
  serving: [],
  artifacts: [],
});
