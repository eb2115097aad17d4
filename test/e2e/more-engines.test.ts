import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { useJobs } from '../support/jobs.ts';

const jobs = useJobs({ SRTCTL_SIM_LOAD_MS: '0', SRTCTL_SIM_SPEED: '50' });

const recipe = (name: string, rest: string) => `name: ${name}
model: {path: test-model, container: test-image, precision: fp8}
resources: {gpu_type: mi355x, gpus_per_node: 4, prefill_nodes: 1, prefill_workers: 1, decode_nodes: 1, decode_workers: 1}
benchmark: {type: sa-bench, isl: 32, osl: 8, concurrencies: "2", num_prompts_mult: 2, num_warmup_mult: 1, use_chat_template: true}
${rest}`;

describe('a run with simulated engines', () => {
  it.each([
    [
      'atom',
      'frontend: {type: atomesh, enable_multiple_frontends: false, args: {policy: random}}\nbackend: {type: atom}\n',
    ],
    [
      'tilert',
      `frontend: {type: tilert-router, enable_multiple_frontends: false, args: {parser: none}}
backend: {type: tilert, tilert_config: {decode: {model: glm5}}}
roles: {prefill: {engine: {type: vllm, connector: null}}}
`,
    ],
    [
      'tokenspeed',
      'frontend: {type: dynamo, enable_multiple_frontends: false}\nbackend: {type: tokenspeed}\n',
    ],
  ])(
    'of %s has valid figures',
    async (name, rest) => {
      const file = join(jobs.dir, `${name}.yaml`);
      await writeFile(file, recipe(name, rest));
      const job = await jobs.apply(file);
      expect(await job.ended(), job.said).toBe(0);
      const [result] = await job.results();
      expect(result).toMatchObject({ status: 'done', cause: null, benchmark: { valid: true } });
      expect(result?.benchmark?.serving.map(({ completed, failed }) => [completed, failed])).toEqual([
        [4, 0],
      ]);
      await job.nothingLeft();
    },
    240_000,
  );
});
