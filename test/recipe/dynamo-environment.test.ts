import { describe, expect, it } from 'vitest';
import { dynamoAddresses } from '../../src/backends/common/dynamo-environment.ts';
import { createRuntimeContext, dryRunInput } from '../../src/plan/runtime-context.ts';
import { recipeSchema } from '../../src/recipe/layouts/recipe-schema.ts';
import { clusterConfigSchema } from '../../src/recipe/schema/cluster.ts';

const recipe = recipeSchema.parse({
  name: 'a',
  model: { path: '/m', container: 'c', precision: 'fp8' },
  resources: { gpu_type: 'h100', gpus_per_node: 4, agg_nodes: 1, agg_workers: 1 },
  backend: { type: 'sglang' },
  frontend: { type: 'dynamo' },
  benchmark: { type: 'manual' },
});

function responseHost(cluster: object, hostNames: 'names' | 'addresses') {
  const input = { ...dryRunInput(['node1'], clusterConfigSchema.parse(cluster)), hostNames };
  const runtime = createRuntimeContext(input).forRecipe(recipe);
  return dynamoAddresses(recipe, runtime, 'node1').DYN_TCP_RESPONSE_STREAM_HOST;
}

describe('the interface for answers of Dynamo', () => {
  it('is that of srtslurm.yaml by its name, because releases before 1.6 refuse an address', () => {
    expect(responseHost({ network_interface: 'ib0' }, 'names')).toBe('ib0');
  });

  it('is Dynamo’s own choice when srtslurm.yaml names none', () => {
    expect(responseHost({}, 'names')).toBeUndefined();
  });

  it('is lo for nodes on one machine', () => {
    expect(responseHost({ network_interface: 'ib0' }, 'addresses')).toBe('lo');
  });
});
