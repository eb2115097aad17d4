import { describe, expect, it } from 'vitest';
import { agentPlaces } from '../../src/platform/agent-places.ts';
import { requireRunnable } from '../../src/recipe/checks/runnable.ts';
import { RecipeProblems } from '../../src/recipe/source/problems.ts';
import { cluster, lineOf, loadText } from '../recipe/write.ts';
import { option, pointOf, processOf } from '../support/plan.ts';

const two = `name: roles
model: {path: hf:org/model, container: repo/shared:1, precision: fp8}
resources: {gpu_type: h100, gpus_per_node: 8, prefill_nodes: 1, prefill_workers: 1, decode_nodes: 1, decode_workers: 1}
frontend: {type: dynamo, enable_multiple_frontends: false}
backend: {type: sglang, sglang_config: {prefill: {page-size: 64}}}
benchmark: {type: manual}
`;
const mixed = `${two}roles:
  decode:
    container: decoder
    srun_options: {mem: "0"}
    engine: {type: vllm, decode_environment: {OWN: "1"}, vllm_config: {decode: {block-size: 16, served-model-name: own}}}
`;
const aliases = { containers: { decoder: 'repo/decoder:2' } };
/** Prefill and decode workers of four GPUs on one node. */
const shared = mixed.replace('decode_nodes: 1,', 'decode_nodes: 0, gpus_per_prefill: 4, gpus_per_decode: 4,');

describe('a role with an engine of its own', () => {
  it('has the command, environment, image and srun options of its own; the other role has those of the recipe', () => {
    const { processes } = pointOf(mixed, aliases);
    const worker = (id: string) => processes.find((process) => process.id === id);
    expect(worker('prefill-0-0')?.argv.slice(0, 3)).toEqual(['python3', '-m', 'dynamo.sglang']);
    expect(worker('prefill-0-0')).toMatchObject({ image: 'repo/shared:1' });
    expect(worker('prefill-0-0')?.srunOptions).toBeUndefined();
    const decode = worker('decode-0-0');
    expect(decode?.argv.slice(0, 3)).toEqual(['python3', '-m', 'dynamo.vllm']);
    expect(option(decode?.argv ?? [], '--block-size')).toBe('16');
    expect(decode).toMatchObject({ image: 'repo/decoder:2', srunOptions: { mem: '0' }, env: { OWN: '1' } });
    expect(worker('frontend-0')?.image).toBe('repo/shared:1');
  });

  it('shares no port with the workers of the other engine on its node', () => {
    const { processes } = pointOf(shared, aliases);
    const workers = processes.filter(({ phase }) => phase === 'worker');
    expect(new Set(workers.map(({ node }) => node)).size).toBe(1);
    const ports = workers.flatMap(({ ports: own }) => Object.values(own));
    expect(new Set(ports).size).toBe(ports.length);
    expect(workers.map(({ gpus }) => gpus)).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6, 7],
    ]);
  });

  it('places workers of vLLM as those of an engine for all roles', () => {
    const whole = two.replace('type: sglang, sglang_config: {prefill: {page-size: 64}}', 'type: vllm');
    const own = `${two}roles: {prefill: {engine: {type: vllm}}, decode: {engine: {type: vllm}}}\n`;
    const argvs = (text: string) => pointOf(text).processes.map(({ argv }) => argv);
    expect(argvs(own)).toEqual(argvs(whole));
  });

  it('reports an error of its section at its place', () => {
    const wrong = mixed.replace('block-size: 16', 'data-parallel-size: 3');
    expect(() => pointOf(wrong, aliases)).toThrow(
      expect.objectContaining({
        place: expect.objectContaining({ path: 'roles.decode.engine.vllm_config.decode.data-parallel-size' }),
      }),
    );
    const typo = mixed.replace('block-size', 'block_size').replace('vllm_config', 'vllm_confg');
    expect(lineOf(typo)).toMatch(/roles\.decode\.engine\.vllm_confg: unknown key/);
  });

  it('cannot be behind a router that has no workers of its engine', () => {
    const behind = mixed.replace('type: dynamo', 'type: smg');
    expect(() => pointOf(behind, aliases)).toThrow('smg has no prefill and decode workers of vLLM');
  });

  it('needs an image as the recipe does', () => {
    const [variant] = loadText(mixed);
    if (!variant) throw new Error('no variant');
    const ask = () => requireRunnable(variant, { mock: false, containers: true }, () => true);
    expect(ask).toThrow(RecipeProblems);
    expect(ask).toThrow(
      expect.objectContaining({ place: expect.objectContaining({ path: 'roles.decode.container' }) }),
    );
  });
});

describe('an image of a role', () => {
  const setUp = (text: string) => {
    const whole = cluster(aliases);
    const [variant] = loadText(text, { cluster: whole });
    if (!variant) throw new Error('no variant');
    return agentPlaces({ variant, cluster: whole, nodes: ['n1', 'n2'], containers: true, jobDir: '/out/1' });
  };

  it('has an agent on the nodes of the role, started with its options of srun', () => {
    expect(setUp(mixed).map(({ name, group }) => [name, group.image, group.srunOptions])).toEqual([
      ['n1', 'repo/shared:1', undefined],
      ['n2', 'repo/shared:1', undefined],
      ['n2/decode', 'repo/decoder:2', { mem: '0' }],
    ]);
  });

  it('has no further agent for a role without options of its own', () => {
    const same = `${two}roles: {decode: {container: "repo/shared:1"}}\n`;
    expect(setUp(same).map(({ name }) => name)).toEqual(['n1', 'n2']);
  });

  it('may be beside another one on a node', () => {
    expect(setUp(shared).map(({ name }) => name)).toEqual(['n1', 'n2', 'n1/decode']);
  });

  it('is set up like the shared one', () => {
    const text = mixed.replace('name: roles', 'name: roles\ndynamo: {version: "1.2.0"}');
    const { processes } = pointOf(text, aliases);
    const installs = processes.filter(({ phase }) => phase === 'install');
    expect(installs.map(({ id, node, image }) => [id, node, image])).toEqual([
      ['install-dynamo-0', 'node1', 'repo/shared:1'],
      ['install-dynamo-1', 'node2', 'repo/decoder:2'],
    ]);
  });

  it('is that of the ranks that MPI starts', () => {
    const text = `${two.replace(/backend: .*\n/, 'backend: {type: trtllm}\n')}roles: {decode: {container: repo/other:1, srun_options: {mpi: pmi2}}}\n`;
    expect(processOf(text, 'decode-0-0')).toMatchObject({
      image: 'repo/other:1',
      srunOptions: { mpi: 'pmi2' },
    });
  });
});
