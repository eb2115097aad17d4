import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { processOf } from '../support/plan.ts';
import { describeReal, pythonOf } from './support/programs.ts';

const run = promisify(execFile);

const recipe = (engine: string, roles: string) => `schema: 2
name: beside
model: {path: hf:org/m, container: repo/image:1, precision: bf16}
resources: {gpu_type: h100, gpus_per_node: 4}
frontend: {type: dynamo, enable_multiple_frontends: false}
dynamo: {sidecar_context_length: 4096}
engine: ${engine}
roles: {${roles}}
benchmark: {type: manual}
`;
const PAIR = 'prefill: {nodes: 1, workers: 1, sidecar: true}, decode: {nodes: 1, workers: 1, sidecar: true}';

describeReal("Dynamo's sidecars", ['dynamo'], () => {
  /** The planned arguments of a sidecar, after its `python3`. */
  const planned = (text: string, id: string): string[] => {
    const { argv } = processOf(text, id);
    return argv.slice(argv.indexOf('beside:') + 2);
  };
  const asked = (argv: string[]) =>
    run(pythonOf('dynamo'), [...argv, '--help'], { timeout: 60_000 }).then(
      () => '',
      (error: { stderr?: string }) => error.stderr ?? String(error),
    );

  it.each([
    ['SGLang', recipe('sglang', PAIR), 'prefill-0-0'],
    ['vLLM', recipe('vllm', PAIR), 'prefill-0-0'],
    ['TensorRT-LLM', recipe('trtllm', 'agg: {nodes: 1, workers: 1, sidecar: true}'), 'agg-0-0'],
  ])(
    'take the options that are planned for %s',
    async (_, text, id) => {
      const argv = planned(text, id);
      expect(argv[1]).toMatch(/^dynamo\.\w+\.sidecar$/);
      expect(await asked(argv)).toBe('');
      expect(await asked([...argv, '--not-an-option']), 'it refuses others').toContain('--not-an-option');
    },
    90_000,
  );
});
