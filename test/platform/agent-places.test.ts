import { describe, expect, it } from 'vitest';
import { agentPlaces } from '../../src/platform/agent-places.ts';
import { containerRuntimeOf } from '../../src/platform/container-runtime.ts';
import { cluster, loadText } from '../recipe/write.ts';

const trtllm = `name: t
model: {path: /models/m, container: repo/image:1, precision: fp8}
resources: {gpu_type: h100, gpus_per_node: 8, prefill_nodes: 1, prefill_workers: 2, decode_nodes: 2, decode_workers: 1}
frontend: {type: trtllm_serve, enable_multiple_frontends: false}
backend: {type: trtllm}
benchmark: {type: sa-bench, isl: 64, osl: 32, concurrencies: "2"}
`;
const placesOf = (containers: boolean, recipe = trtllm, hostSetup = false) => {
  const [variant] = loadText(recipe);
  if (!variant) throw new Error('no variant');
  const nodes = ['n1', 'n2', 'n3'];
  return agentPlaces({ variant, cluster: cluster({}), nodes, containers, jobDir: '/out/1', hostSetup });
};

describe('the agents of a job whose engine MPI starts', () => {
  it('are, outside of the container too, on the first node of each endpoint', () => {
    const places = placesOf(true).map(({ name, group }) => `${name} ${group.image}`);
    expect(places).toEqual([
      ...['n1 repo/image:1', 'n2 repo/image:1', 'n3 repo/image:1', 'n1/mpi null', 'n2/mpi null'],
    ]);
  });

  it('are on every node when there are spare nodes, because a spare node may replace any other', () => {
    const spare = trtllm.replace('decode_nodes: 2', 'decode_nodes: 1, spare_nodes: 1');
    const outside = placesOf(true, spare).filter(({ group }) => group.name === 'mpi');
    expect(outside.map(({ node }) => node).sort()).toEqual(['n1', 'n2', 'n3']);
  });

  it('and those of host_setup are outside of the container on its nodes, where it runs', () => {
    const text = `${trtllm}host_setup: {nodes: workers, teardown: ['true']}\n`.replace(
      'decode_nodes: 2',
      'decode_nodes: 1',
    );
    const outside = (hostSetup: boolean) =>
      placesOf(true, text, hostSetup).flatMap(({ name }) => (name.endsWith('/host') ? [name] : []));
    expect(outside(true)).toEqual(['n1/host', 'n2/host']);
    expect(outside(false)).toEqual([]);
  });

  it('are one on each node when no agent is in a container', () => {
    expect(placesOf(false).map(({ name }) => name)).toEqual(['n1', 'n2', 'n3']);
  });
});

it.each([
  [undefined, false, 'slurm', 'pyxis'],
  [undefined, true, 'slurm', 'none'],
  [undefined, false, 'local', 'none'],
  ['pyxis', true, 'slurm', 'pyxis'],
  ['pyxis', false, 'local', 'none'],
  ['docker', true, 'local', 'docker'],
] as const)('container_runtime %s, mock %s, %s: containers of %s', (told, mock, mode, expected) => {
  expect(containerRuntimeOf({ container_runtime: told }, { mock, mode })).toBe(expected);
});
