import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { devicesInTask, type GivenDevices, withDevices } from '../../../src/platform/containers/devices.ts';

const nvidia = (list?: string): GivenDevices => ({ vendor: 'nvidia', env: { CUDA_VISIBLE_DEVICES: list } });
const amd = (env: Record<string, string>): GivenDevices => ({ vendor: 'amd', env });
const visible = (given: GivenDevices, gpus: number[] | null, own?: string): (string | undefined)[] => {
  const planned = own ?? gpus?.join(',');
  const env = Object.fromEntries(
    Object.entries({
      ...given.env,
      ...(planned === undefined ? {} : { CUDA_VISIBLE_DEVICES: planned }),
    }).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
  const plan = planned === undefined ? {} : { CUDA_VISIBLE_DEVICES: planned };
  const seen = withDevices(env, plan, gpus ?? [0, 1, 2, 3], given);
  return [seen.CUDA_VISIBLE_DEVICES, seen.HIP_VISIBLE_DEVICES, seen.ROCR_VISIBLE_DEVICES];
};

describe('the GPUs of a process', () => {
  it('are those that Slurm gave to the node, at the positions of the plan', () => {
    expect(visible(nvidia('4,5,6,7'), [0, 1])[0]).toBe('4,5');
    expect(visible(nvidia('4,5,6,7'), [2, 3])[0]).toBe('6,7');
    expect(visible(nvidia('GPU-8f,GPU-02'), [1])[0]).toBe('GPU-02');
    expect(visible(nvidia('MIG-1c,MIG-77, MIG-5b'), [1, 2])[0]).toBe('MIG-77,MIG-5b');
  });

  it('are the planned ones when Slurm reports none, or too few', () => {
    expect(visible(nvidia(), [2, 3])[0]).toBe('2,3');
    expect(visible(nvidia('NoDevFiles'), [2, 3])[0]).toBe('2,3');
  });

  it('are all GPUs of the node when the plan says so, or those that the recipe names', () => {
    expect(visible(nvidia('4,5,6,7'), null)[0]).toBe('4,5,6,7');
    expect(visible(nvidia('4,5,6,7'), [0, 1], '6')[0]).toBe('6');
  });

  it('of AMD are counted from 0 after ROCR_VISIBLE_DEVICES, in both of the other variables', () => {
    const given = amd({ ROCR_VISIBLE_DEVICES: '4,5,6,7' });
    expect(visible(given, [2, 3])).toEqual(['2,3', '2,3', '4,5,6,7']);
    expect(visible(amd({ HIP_VISIBLE_DEVICES: '4,5,6,7' }), [2, 3])).toEqual(['6,7', '6,7', undefined]);
    expect(visible(amd({}), [2, 3])).toEqual(['2,3', '2,3', undefined]);
  });

  it.each(['ROCR_VISIBLE_DEVICES', 'HIP_VISIBLE_DEVICES'] as const)(
    'are chosen by %s alone where the cluster says so',
    (mask) => {
      const plan = { [mask]: '2,3', GPU_DEVICE_ORDINAL: 'of the recipe' };
      const of = (env: Record<string, string>) => withDevices({ ...env, ...plan }, plan, [2, 3], amd(env));
      const others = { GPU_DEVICE_ORDINAL: 'of the recipe' };
      expect(of({})).toEqual({ ...others, [mask]: '2,3' });
      const bySlurm = { ROCR_VISIBLE_DEVICES: '4,5,6,7', CUDA_VISIBLE_DEVICES: '4,5,6,7' };
      expect(of(bySlurm)).toEqual({ ...others, [mask]: '6,7' });
      const [command = '', ...argv] = devicesInTask(plan, [2, 3]);
      const seen = spawnSync(command, [...argv, 'env'], { env: { PATH: process.env.PATH, ...bySlurm } });
      const masks = String(seen.stdout)
        .split('\n')
        .filter((line) => /VISIBLE|ORDINAL/.test(line));
      expect(masks).toEqual([`${mask}=6,7`]);
    },
  );

  it('of AMD are not filtered twice by the list that Slurm sets in all variables', () => {
    const all = { ROCR_VISIBLE_DEVICES: '4,5', CUDA_VISIBLE_DEVICES: '4,5' };
    expect(visible(amd(all), null)).toEqual([undefined, undefined, '4,5']);
    expect(visible(amd(all), [1])).toEqual(['1', '1', '4,5']);
  });
});
