import { describe, expect, it } from 'vitest';
import { nodesNeeded, planVariant } from '../../../src/plan/plan.ts';
import { createRuntimeContext, dryRunInput } from '../../../src/plan/runtime-context.ts';
import type { ClusterConfig } from '../../../src/recipe/schema/cluster.ts';
import { cluster, loadText, small } from '../../recipe/write.ts';

/** The checks of a job with real engines. */
function checksOf(text: string, config: Partial<ClusterConfig> = {}) {
  const whole = cluster(config);
  return loadText(text, { cluster: whole }).flatMap((variant) => {
    const nodes = Array.from({ length: nodesNeeded(variant) }, (_, index) => `node${index + 1}`);
    const context = createRuntimeContext({ ...dryRunInput(nodes, whole), checksOptions: true });
    const [point] = planVariant(variant, context).points;
    return point?.processes.filter(({ id }) => id.startsWith('check-options')) ?? [];
  });
}

const linesOf = (text: string) =>
  checksOf(text).map(({ files }) => JSON.parse(files?.[0]?.content ?? '').lines as unknown[]);

describe('the step that has engines parse their options', () => {
  it('runs once on the first node of an image, before workers, with one line for each kind of process', () => {
    const [check, ...others] = checksOf(small.replace('decode_workers: 1', 'decode_workers: 2'));
    expect(others).toEqual([]);
    expect(check).toMatchObject({ id: 'check-options-0', node: 'node1', phase: 'before_workers' });
    expect(check?.argv.slice(3)).toEqual([
      'sh',
      expect.stringMatching(/steps\/check-options\.py$/),
      expect.stringMatching(/\/12345\/check-options-0\.json$/),
    ]);
    const [lines] = linesOf(small);
    expect(lines).toMatchObject([{ program: 'sglang' }, { program: 'sglang' }, { program: 'sglang-router' }]);
  });

  it("has the places of the recipe's options, and no address, port or job in its lines", () => {
    const text = small.replace('decode: {', 'decode: {no-such-option: 1, ');
    const [lines = []] = linesOf(text);
    expect(lines[1]).toMatchObject({
      places: {
        '--no-such-option': expect.stringMatching(
          /recipe\.yaml:\d+: backend\.sglang_config\.decode\.no-such-option$/,
        ),
      },
    });
    expect(JSON.stringify(lines.map((line) => (line as { args: unknown }).args))).not.toMatch(
      /node1|10\.0|12345/,
    );
  });

  it('leaves what the recipe says as it is', () => {
    const text = small.replace('decode: {', 'decode: {max-total-tokens: 4096, load-format: node1, ');
    const [lines = []] = linesOf(text);
    expect((lines[1] as { args: string[] }).args.join(' ')).toMatch(
      /--load-format node1 --max-total-tokens 4096/,
    );
  });

  it('has one step for each image', () => {
    const text = `${small}roles: {decode: {container: "other/image:2"}}\n`;
    expect(checksOf(text).map(({ image }) => image)).toEqual(['repo/image:1', 'other/image:2']);
  });

  it('is left out on request', () => {
    expect(checksOf(`${small}supervision: {check_options: false}\n`)).toEqual([]);
  });

  it('installs what its engines have installed where each process has its own container', () => {
    const text = `${small.replace('type: sglang', 'type: dynamo')}dynamo: {version: 1.2.0}\n`;
    const [check] = checksOf(text, { container_runtime: 'docker' });
    expect(check?.argv[2]).toContain('install-dynamo.sh');
    expect(checksOf(text)[0]?.argv[2]).not.toContain('install-dynamo.sh');
  });
});
