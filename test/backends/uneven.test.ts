import { describe, expect, it } from 'vitest';
import { pointOf } from '../support/plan.ts';

const worker = (backend: string, resources = '') => `name: six
model: {path: /models/m, container: repo/image:1, precision: fp8}
resources: {gpu_type: h100, gpus_per_node: 4, agg_nodes: 2, agg_workers: 1, gpus_per_agg: 6${resources}}
${backend}
benchmark: {type: manual}
`;
const sglang = (tp: number) =>
  `frontend: {type: sglang}\nbackend: {type: sglang, sglang_config: {aggregated: {tensor-parallel-size: ${tp}}}}`;
const trtllm =
  'frontend: {type: trtllm_serve}\nbackend: {type: trtllm, trtllm_config: {aggregated: {tensor_parallel_size: 6}}}';

describe('a worker of 6 GPUs on nodes of 4', () => {
  it('has two nodes under SGLang, whose ranks are three on each', () => {
    expect(pointOf(worker(sglang(6))).endpoints[0]?.nodes).toEqual(['node1', 'node2']);
  });

  it('is refused when SGLang cannot spread its ranks evenly', () => {
    expect(() => pointOf(worker(sglang(5)))).toThrow(
      'SGLang cannot spread 5 ranks evenly over the 2 nodes of an aggregated worker',
    );
  });

  it('has four ranks on the first node and two on the second under TensorRT-LLM, unless the recipe spreads it', () => {
    const of = (resources = '') => {
      const { endpoints, processes } = pointOf(worker(trtllm, resources));
      return [endpoints[0], processes.find(({ role }) => role === 'agg')?.mpi];
    };
    const nodes = ['node1', 'node2'];
    expect(of()).toMatchObject([
      { nodes, gpus: [0, 1, 2, 3] },
      { tasks: 6, nodes },
    ]);
    expect(of(', agg_nodes_per_worker: 2')).toMatchObject([
      { nodes, gpus: [0, 1, 2] },
      { tasks: 6, nodes },
    ]);
  });
});
