import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

interface SweepRecipe {
  /** Lines of the `sweep` section: lists of parameters and settings. */
  readonly sweep: string;
  /** Options that contain parameters of the sweep (`{…}`). */
  readonly prefill?: string;
  readonly decode?: string;
  readonly concurrencies?: string;
  /** Length of a point's benchmark: prompts for each of its concurrencies. */
  readonly requests?: number | string;
  /** Output tokens, or the parameter that sets them. */
  readonly osl?: number | string;
  readonly extra?: string;
}

/** Writes a disaggregated recipe with a sweep on two nodes. */
export async function writeSweep(dir: string, options: SweepRecipe): Promise<string> {
  const {
    sweep,
    prefill = '',
    decode = '',
    concurrencies = '2',
    requests = 4,
    osl = 16,
    extra = '',
  } = options;
  const file = join(dir, 'sweep.yaml');
  const flags = (own: string) =>
    `{ served-model-name: test/model, tensor-parallel-size: 4${own === '' ? '' : `, ${own}`} }`;
  await writeFile(
    file,
    `name: e2e-sweep
model: { path: test-model, container: test-image, precision: fp8 }
resources: { gpu_type: h100, gpus_per_node: 4, prefill_nodes: 1, decode_nodes: 1, prefill_workers: 1, decode_workers: 1 }
frontend: { type: sglang, enable_multiple_frontends: false }
backend:
  type: sglang
  sglang_config:
    prefill: ${flags(prefill)}
    decode: ${flags(decode)}
benchmark:
  type: sa-bench
  isl: 64
  osl: ${typeof osl === 'string' ? `"${osl}"` : osl}
  concurrencies: "${concurrencies}"
  req_rate: inf
  num_prompts_mult: ${typeof requests === 'string' ? `"${requests}"` : requests}
  num_warmup_mult: 0
sweep:
${sweep
  .trim()
  .split('\n')
  .map((line) => `  ${line.trim()}`)
  .join('\n')}
${extra}`,
  );
  return file;
}
