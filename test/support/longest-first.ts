import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files that take minutes, the longest first, because the run would wait for a long file that starts last. */
const LONG = [
  'real/sglang',
  'real/vllm',
  'platform/slurm/cluster',
  'e2e/classes',
  'e2e/restart',
  'e2e/sweep',
  'e2e/failures',
  'e2e/launch',
  'e2e/resume',
  'e2e/faults',
  'docs',
  'real/',
  'e2e/',
  'recipe/mutations',
  'plan/properties',
];

const rankOf = ({ moduleId }: TestSpecification): number => {
  const at = LONG.findIndex((name) => moduleId.includes(`/test/${name}`));
  return at < 0 ? LONG.length : at;
};

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.sort((a, b) => rankOf(a) - rankOf(b));
  }
}
