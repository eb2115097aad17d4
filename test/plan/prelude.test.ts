import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { pointOf } from '../support/plan.ts';

const recipe = `name: p
model: {path: /models/m, container: repo/image:1, precision: fp8}
resources: {gpu_type: h100, gpus_per_node: 8, prefill_nodes: 1, prefill_workers: 1, decode_nodes: 1, decode_workers: 1}
frontend: {type: dynamo, enable_multiple_frontends: false}
dynamo: {version: 0.8.0}
backend: {type: sglang, sglang_config: {prefill: {tensor-parallel-size: 8}, decode: {tensor-parallel-size: 8}}}
benchmark: {type: sa-bench, isl: 64, osl: 32, concurrencies: "2"}
`;
const trtllm = recipe.replace(/backend: .*/, 'backend: {type: trtllm}');
const INSTALL = /^bash \S+\/steps\/install-dynamo\.sh 0\.8\.0/;

const planOf = (text: string, runtime: 'pyxis' | 'docker') => {
  const { processes } = pointOf(text, { container_runtime: runtime });
  return {
    steps: processes.filter(({ role }) => role === 'step').map(({ id }) => id),
    scripts: Object.fromEntries(
      processes.filter(({ argv }) => argv[0] === 'bash').map(({ id, argv }) => [id, argv[2] ?? '']),
    ),
  };
};

describe('an installation into an image', () => {
  it('is a step on each node when its processes share a container', () => {
    const { steps, scripts } = planOf(recipe, 'pyxis');
    expect(steps).toEqual(['install-dynamo-0', 'install-dynamo-1']);
    expect(scripts['prefill-0-0']).toBeUndefined();
  });

  it('comes before the command of each process with its own container', () => {
    const { steps, scripts } = planOf(recipe, 'docker');
    expect(steps).toEqual([]);
    expect(Object.keys(scripts).sort()).toEqual(['decode-0-0', 'frontend-0', 'prefill-0-0']);
    for (const script of Object.values(scripts)) {
      expect(script).toMatch(INSTALL);
      expect(script.endsWith(' || exit\nexec "$@"')).toBe(true);
    }
  });

  it('is done by one rank on each node of an MPI launch, for which the others wait', () => {
    const { scripts } = planOf(trtllm, 'pyxis');
    expect(scripts['decode-0-0']).toContain('SLURM_LOCALID');
    expect(scripts['decode-0-0']).toContain('install-dynamo.sh 0.8.0');
    expect(scripts['frontend-0']).toBeUndefined();
  });
});

describe('the preparation of a node’s ranks', () => {
  const { scripts } = planOf(trtllm, 'pyxis');
  const script = (step: string) =>
    (scripts['decode-0-0'] ?? '').replace(/bash \S+install-dynamo\.sh 0\.8\.0/, step);
  const rank = (step: string, local: number, env: Record<string, string>) =>
    promisify(execFile)('bash', ['-c', script(step), 'bash', 'echo', 'engine', `${local}`], {
      env: { PATH: process.env.PATH ?? '', SLURM_LOCALID: `${local}`, SLURM_STEP_ID: '3', ...env },
    });

  it.each([
    [
      'is done once, before any of them',
      'sleep 0.3; echo installed',
      ['installed\nengine 0\n', 'engine 1\n'],
    ],
    ['ends all of them when it fails', 'exit 4', null],
  ])('%s', async (_what, step, expected) => {
    const env = { SRTCTL_AGENT: `job/node/${randomUUID()}` };
    const both = await Promise.allSettled([1, 0].map((local) => rank(`( ${step} )`, local, env)));
    const seen = both.reverse().map((end) => (end.status === 'fulfilled' ? end.value.stdout : null));
    expect(seen).toEqual(expected ?? [null, null]);
    for (const suffix of ['', '.failed'])
      await rm(`/tmp/srtctl-${env.SRTCTL_AGENT.split('/')[2]}-3${suffix}`, { force: true });
  });
});
