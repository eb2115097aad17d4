import { describe, expect, it } from 'vitest';
import { sbatchDirectives } from '../../src/platform/slurm/sbatch.ts';
import { clusterConfigSchema } from '../../src/recipe/schema/cluster.ts';
import { loadText, small } from '../recipe/write.ts';
import { option, placesOf, pointOf, processOf } from '../support/plan.ts';

const resources = (text: string, base = small) =>
  base.replace(/resources:\n( {2}.*\n)+/, `resources: {gpus_per_node: 8, ${text}}\n`);

describe('workers', () => {
  it('fill a node before the next, and decode workers begin on a new node', () => {
    const text = resources(
      'prefill_nodes: 2, prefill_workers: 3, gpus_per_prefill: 4, decode_nodes: 1, decode_workers: 2',
    );
    expect(placesOf(text)).toEqual([
      'prefill-0 node1 0-3',
      'prefill-1 node1 4-7',
      'prefill-2 node2 0-3',
      'decode-0 node3 0-3',
      'decode-1 node3 4-7',
    ]);
  });

  it('of decode follow those of prefill when decode_nodes is 0, on the last node', () => {
    const text = (nodes: number) =>
      resources(
        `prefill_nodes: ${nodes}, prefill_workers: 1, gpus_per_prefill: 4, decode_nodes: 0, decode_workers: 1`,
      );
    expect(placesOf(text(1))).toEqual(['prefill-0 node1 0-3', 'decode-0 node1 4-7']);
    expect(placesOf(text(2))).toEqual(['prefill-0 node1 0-3', 'decode-0 node2 0-3']);
  });

  it('have one node each when the recipe spreads them', () => {
    const text = resources('agg_nodes: 2, agg_workers: 2, gpus_per_agg: 2');
    expect(placesOf(text)).toEqual(['agg-0 node1 0-1', 'agg-1 node1 2-3']);
    expect(placesOf(text.replace('{gpus', '{spread_workers: true, gpus'))).toEqual([
      'agg-0 node1 0-1',
      'agg-1 node2 0-1',
    ]);
  });

  it('with more GPUs than a node has take whole nodes', () => {
    expect(placesOf(resources('agg_nodes: 2, agg_workers: 1, gpus_per_agg: 12'))).toEqual([
      'agg-0 node1,node2 0-7',
    ]);
  });

  it('are none when a recipe counts 0 of them', () => {
    const text = resources('prefill_nodes: 0, prefill_workers: 0, agg_nodes: 1, agg_workers: 1');
    expect(placesOf(text)).toEqual(['agg-0 node1 0-7']);
    expect(placesOf(resources('decode_nodes: 1, decode_workers: 2'))).toHaveLength(2);
  });
});

describe('a node set aside', () => {
  const roles = (sections: string) =>
    pointOf(`${small.replace(/frontend:[\s\S]*?backend/, 'backend')}${sections}`).roles;
  const none = 'frontend: {type: sglang}\n';

  it('for infrastructure is the first one', () => {
    expect(roles(`${none}infra: {etcd_nats_dedicated_node: true}\n`)).toEqual({
      ...{ head: 'node2', infra: 'node1', bench: 'node2' },
      workers: ['node2', 'node3'],
      pools: {},
    });
  });

  it('for the router is the head', () => {
    expect(roles('frontend: {type: sglang, dedicated_node: true}\n')).toEqual({
      ...{ head: 'node1', infra: 'node1', bench: 'node1' },
      workers: ['node2', 'node3'],
      pools: {},
    });
    expect(roles('frontend: {type: sglang, placement: {node: dedicated}}\n').head).toBe('node1');
  });

  it('for the benchmark is the last one, which has workers too unless the recipe forbids it', () => {
    const both = (more: string) =>
      `infra: {etcd_nats_dedicated_node: true}\nfrontend: {type: sglang}\nbenchmark: {type: manual, client_dedicated_node: true${more}}\n`;
    const text = small.replace(/frontend:[\s\S]*?backend/, 'backend').replace(/benchmark:.*\n/, '');
    expect(pointOf(`${text}${both('')}`).roles).toEqual({
      ...{ head: 'node1', infra: 'node3', bench: 'node3' },
      workers: ['node1', 'node2'],
      pools: {},
    });
    expect(pointOf(`${text}${both(', colocate_with_frontend: false')}`).roles).toEqual({
      ...{ head: 'node2', infra: 'node1', bench: 'node4' },
      workers: ['node2', 'node3'],
      pools: {},
    });
  });

  it('does not exist for a benchmark beside the last decode worker', () => {
    const text = small.replace('benchmark: {', 'benchmark: {client_placement: last_decode, ');
    expect(pointOf(text).roles.bench).toBe('node2');
  });
});

describe('a heterogeneous job', () => {
  const text = resources(
    'het_jobs: true, prefill_nodes: 2, prefill_workers: 1, gpus_per_prefill: 8, decode_nodes: 1, decode_workers: 1',
  );
  const directives = (recipe: string, config = {}) => {
    const cluster = clusterConfigSchema.parse({ default_partition: 'gpu', ...config });
    const [variant] = loadText(recipe, { cluster });
    const [point] = variant?.points ?? [];
    if (!point) throw new Error('no point');
    return sbatchDirectives(point.recipe, cluster, 3);
  };

  it('has a block of directives for the prefill nodes, and one for the decode nodes', () => {
    expect(directives(text)).toEqual([
      '#SBATCH --job-name=small',
      ...['#SBATCH --nodes=2', '#SBATCH --ntasks=2', '#SBATCH --ntasks-per-node=1'],
      ...['#SBATCH --gpus-per-node=8', '#SBATCH --segment=2', '#SBATCH --partition=gpu'],
      '#SBATCH hetjob',
      ...['#SBATCH --nodes=1', '#SBATCH --ntasks=1', '#SBATCH --ntasks-per-node=1'],
      ...['#SBATCH --gpus-per-node=8', '#SBATCH --segment=1', '#SBATCH --partition=gpu'],
    ]);
  });

  it('keeps the workers of a mode on the nodes of their component', () => {
    expect(placesOf(text)).toEqual(['prefill-0 node1 0-7', 'decode-0 node3 0-7']);
  });

  it('can be set by the cluster, and refused by the recipe', () => {
    const config = { use_het_jobs: true };
    expect(directives(text.replace('het_jobs: true, ', ''), config)).toContain('#SBATCH hetjob');
    expect(directives(text.replace('het_jobs: true', 'het_jobs: false'), config)).not.toContain(
      '#SBATCH hetjob',
    );
    expect(() => directives(resources('het_jobs: true, agg_workers: 1'))).toThrow(
      /needs prefill_nodes and decode_nodes/,
    );
  });
});

describe("Mooncake's master", () => {
  const text = small
    .replace('type: sglang', 'type: dynamo')
    .replace(
      'backend:\n',
      'backend:\n  mooncake_kv_store: {env: {MOONCAKE_PROTOCOL: tcp}, master_extra_args: [--x=1]}\n',
    )
    .replaceAll('{tensor-parallel-size: 8}', '{disaggregation-transfer-backend: mooncake}');

  it('is a process on the infra node that starts before the workers, which get its address', () => {
    const { node, phase, argv, image } = processOf(text, 'mooncake-master');
    expect([node, phase, image]).toEqual(['node1', 'infra', 'repo/image:1']);
    expect(argv).toEqual(expect.arrayContaining(['mooncake_master', '--rpc_port=8700', '--x=1']));
    expect(processOf(text, 'decode-0-0').env).toMatchObject({
      MOONCAKE_MASTER: '10.0.0.1:8700',
      MOONCAKE_TE_META_DATA_SERVER: 'http://10.0.0.1:8701/metadata',
      MOONCAKE_LOCAL_HOSTNAME: '10.0.0.2',
      MOONCAKE_PROTOCOL: 'tcp',
    });
  });

  it('is refused when no worker uses it', () => {
    expect(() => pointOf(text.replaceAll('-backend: mooncake', '-backend: nixl'))).toThrow(
      /asks for a Mooncake master that no worker uses/,
    );
  });

  it('of vLLM is in the file of its connector, whatever the recipe says of the master’s address', () => {
    const vllm = text
      .replace('backend:\n', 'backend:\n  type: vllm\n')
      .replace('master_extra_args: [--x=1]', 'store_config: {protocol: rdma, master_server_address: x}')
      .replace(
        / {2}sglang_config:\n[\s\S]*?benchmark/,
        `  vllm_config: {prefill: {kv-transfer-config: '{"kv_connector":"MooncakeStoreConnector"}'}}\nbenchmark`,
      );
    const { files, env, argv } = processOf(vllm, 'prefill-0-0');
    expect(JSON.parse(files?.[0]?.content ?? '')).toEqual({
      protocol: 'rdma',
      master_server_address: '10.0.0.1:8700',
    });
    expect(env.MOONCAKE_CONFIG_PATH).toBe('/logs/mooncake_store_config.json');
    expect(option(argv, '--kv-transfer-config')).toContain('MooncakeStore');
  });
});
