import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A small disaggregated recipe; `requests` sets how long its benchmark takes. */
export async function writeRecipe(
  dir: string,
  options: { frontend: 'sglang' | 'dynamo'; concurrencies?: string; osl?: number; requests?: number } = {
    frontend: 'sglang',
  },
): Promise<string> {
  const { frontend, concurrencies = '2', osl = 32, requests = 4 } = options;
  const file = join(dir, 'recipe.yaml');
  const common = `served-model-name: test/model
      trust-remote-code: true
      tensor-parallel-size: 4`;
  await writeFile(
    file,
    `name: e2e-${frontend}
model:
  path: test-model
  container: test-image
  precision: fp8
resources:
  gpu_type: h100
  gpus_per_node: 4
  prefill_nodes: 1
  decode_nodes: 2
  prefill_workers: 1
  decode_workers: 2
frontend:
  type: ${frontend}
  enable_multiple_frontends: false
backend:
  type: sglang
  sglang_config:
    prefill:
      ${common}
    decode:
      ${common}
benchmark:
  type: sa-bench
  isl: 64
  osl: ${osl}
  concurrencies: "${concurrencies}"
  req_rate: inf
  num_prompts_mult: ${requests}
  num_warmup_mult: 1
`,
  );
  return file;
}
