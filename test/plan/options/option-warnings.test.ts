import { describe, expect, it } from 'vitest';
import { Tables } from '../../../src/engine-options/table.ts';
import { OptionWarnings } from '../../../src/plan/options/option-warnings.ts';
import { nodesToAllocate, requirePlannable } from '../../../src/plan/plan.ts';
import { createRuntimeContext, dryRunInput } from '../../../src/plan/runtime-context.ts';
import { cluster, loadText } from '../../recipe/write.ts';

const tables = new Tables();

function warningsOf(text: string): string[] {
  return loadText(text).flatMap((variant) => {
    const warnings = new OptionWarnings(variant, tables);
    const nodes = Array.from({ length: nodesToAllocate(variant) }, (_, index) => `node${index + 1}`);
    requirePlannable(variant, createRuntimeContext(dryRunInput(nodes, cluster())), warnings.look);
    return warnings.lines.map((line) => line.replace(/^.*recipe\.yaml/, 'recipe.yaml'));
  });
}

const recipe = (image: string, options: string) => `name: small
model: {path: /models/m, container: "${image}", precision: fp8}
resources: {gpu_type: h100, gpus_per_node: 8, prefill_nodes: 1, prefill_workers: 1, decode_nodes: 1, decode_workers: 2}
frontend: {type: sglang, enable_multiple_frontends: false}
backend:
  sglang_config:
    prefill:
      tensor-parallel-size: 8
    decode:
      tensor-parallel-size: 4
${options.replaceAll(/^/gm, '      ')}
benchmark: {type: sa-bench, isl: 128, osl: 128, concurrencies: 1x4}
`;

describe('options that an engine would refuse', () => {
  it("are named with the recipe's line, the release and what was meant", () => {
    const options = 'attention-backend: fa5\ntrust_remote_code: true\ndisable-radix-cash: true';
    expect(warningsOf(recipe('lmsysorg/sglang:v0.5.23', options))).toEqual([
      expect.stringMatching(
        /^recipe\.yaml:11: backend\.sglang_config\.decode\.attention-backend: SGLang 0\.5\.23 has no --attention-backend "fa5": .* \(did you mean fa[34]\?\)$/,
      ),
      'recipe.yaml:13: backend.sglang_config.decode.disable-radix-cash: SGLang 0.5.23 has no option --disable-radix-cash (did you mean --disable-radix-cache?)',
    ]);
  });

  it("are judged by the recipe's own release", () => {
    const options = 'nsa-prefill-backend: fa3';
    expect(warningsOf(recipe('lmsysorg/sglang:v0.5.9-cu130', options))).toEqual([]);
    expect(warningsOf(recipe('lmsysorg/sglang:v0.5.23', options))).toHaveLength(1);
  });

  it('are passed over in images whose release is unknown', () => {
    expect(warningsOf(recipe('dev-0318', 'no-such-option: 1'))).toEqual([]);
  });

  it('are found in variants, at the line of the override', () => {
    const text = `base:\n${recipe('lmsysorg/sglang:v0.5.23', 'trust-remote-code: true').replaceAll(/^(?=.)/gm, '  ')}override_a:
  backend:
    sglang_config:
      decode: {no-such-option: 1}
`;
    expect(warningsOf(text)).toEqual([
      'recipe.yaml:17: backend.sglang_config.decode.no-such-option: SGLang 0.5.23 has no option --no-such-option',
    ]);
  });
});
