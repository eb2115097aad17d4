import { describe, expect, it } from 'vitest';
import { estimateOf, estimateText, mostGpuHours } from '../../src/cli/dry-run/estimate.ts';
import { cluster, loadText, small } from '../recipe/write.ts';

const variantOf = (lines: string) => {
  const [variant] = loadText(`${small}${lines}`);
  if (!variant) throw new Error('no variant');
  return variant;
};

describe('the estimate of a job', () => {
  it('is at most all its nodes for the whole time limit', () => {
    const variant = variantOf('slurm: {time_limit: "1:30:00"}\n');
    expect(estimateOf(variant, cluster(), 2)).toEqual({ nodeHours: 3, gpuHours: 24, expected: null });
    expect(estimateText(estimateOf(variant, cluster(), 2), variant, cluster())).toMatch(
      /^at most 3 node-hours, 24 GPU-hours \(time limit .*\); no earlier job has measured the same$/,
    );
  });

  it('has no bound without a time limit', () => {
    expect(estimateOf(variantOf(''), cluster(), 2)).toMatchObject({ nodeHours: null, gpuHours: null });
    const limited = cluster({ default_time_limit: '1:00:00' });
    expect(estimateOf(variantOf(''), limited, 2)).toMatchObject({ nodeHours: 2, gpuHours: 16 });
  });

  it('expects what an earlier job took, and names it', () => {
    const variant = variantOf('slurm: {time_limit: "1:00:00"}\n');
    const estimate = estimateOf(variant, cluster(), 2, { job: '7', ms: 1_800_000 });
    expect(estimate.expected).toEqual({ nodeHours: 1, gpuHours: 8, job: '7' });
    expect(estimateText(estimate, variant, cluster())).toContain('as the points of job 7 took');
  });

  it('is limited by the lower one of the recipe and the cluster', () => {
    expect(mostGpuHours(variantOf(''), cluster())).toBeNull();
    expect(mostGpuHours(variantOf('max_gpu_hours: 5\n'), cluster({ max_gpu_hours: 9 }))).toBe(5);
    expect(mostGpuHours(variantOf('max_gpu_hours: 50\n'), cluster({ max_gpu_hours: 9 }))).toBe(9);
  });
});
