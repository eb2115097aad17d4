import { describe, expect, it } from 'vitest';
import { migrate } from '../../../src/recipe/migrate/migrate.ts';
import { RecipeProblems } from '../../../src/recipe/source/problems.ts';
import { parseSource } from '../../../src/recipe/source/source.ts';
import { expandVariants } from '../../../src/recipe/variants.ts';
import { loadText, small } from '../write.ts';

const migrated = (text: string): string => migrate('r.yaml', text);
const plainOf = (text: string): unknown => parseSource('r.yaml', migrated(text)).value;

/** The variants of a migrated file, by their names. */
const variantsOf = (text: string): Record<string, unknown> =>
  Object.fromEntries(
    expandVariants(parseSource('r.yaml', migrated(text).replace(/^schema: 2\n/m, ''))).map(
      ({ variant, value }) => [variant, value],
    ),
  );

function refusal(text: string): string[] {
  try {
    migrated(text);
  } catch (error) {
    if (error instanceof RecipeProblems) return error.lines();
    throw error;
  }
  throw new Error('it was migrated');
}

describe('a recipe of the first layout', () => {
  it('has its keys in other places, with their comments, order and form', () => {
    const text = `# Recipe

# the name
name: "r"   # short

resources:
  gpu_type: h100
  gpus_per_node: 8
  # one prefill worker
  prefill_nodes: 1
  prefill_workers: 1   # P
  decode_nodes: 0   # shared
  decode_workers: 1
  gpus_per_prefill: 4
  gpus_per_decode: 4
  # end of resources
# about dynamo
dynamo:
  hash: abc   # commit
  install: true

frontend:
  type: sglang
# the engine
backend:
  # which
  type: sglang
  prefill_environment:
    A: "1"
    # after A
  sglang_config:
    # options
    prefill:
      x: 1.0
    decode: {y: [1, 2]}
    # end of options
# about the benchmark
benchmark:
  type: sa-bench
# end
`;
    expect(migrated(text)).toBe(`# Recipe

# the name
schema: 2
name: "r" # short

resources:
  gpu_type: h100
  gpus_per_node: 8
  # end of resources
# about dynamo
dynamo:
  source:
    rev: abc # commit
  install: true

frontend:
  type: sglang-router
# the engine
# which
engine: sglang
# end of options
roles:
  prefill:
    # one prefill worker
    nodes: 1
    workers: 1 # P
    gpus: 4
    env:
      A: "1"
      # after A
    # options
    args:
      x: 1.0
  decode:
    nodes: colocate # shared
    workers: 1
    gpus: 4
    args: {y: [1, 2]}
# about the benchmark
benchmark:
  type: sa-bench

# end
`);
  });

  it('keeps the indentation of its file', () => {
    const text =
      'name: r\nresources:\n    agg_nodes: 1\nbackend:\n    trtllm_config:\n        aggregated:\n            a:\n              - 1\n    type: trtllm\n';
    expect(migrated(text)).toBe(
      'schema: 2\nname: r\nresources: {}\nengine: trtllm\nroles:\n    agg:\n        nodes: 1\n        args:\n            a:\n                - 1\n',
    );
    expect(migrated('name: r\r\nbackend: {type: vllm}\r\n')).toBe('schema: 2\r\nname: r\r\nengine: vllm\r\n');
  });

  it('gets an engine where it has none, and a map of its knobs', () => {
    expect(plainOf('name: r\nmodel: {path: m}\n')).toEqual({
      ...{ schema: 2, name: 'r', model: { path: 'm' }, engine: 'sglang' },
    });
    expect(
      plainOf(
        'name: r\nbackend: {type: vllm, connector: null, set_cuda_visible_devices: true, decode_environment: {A: 1}}\n',
      ),
    ).toEqual({
      ...{ schema: 2, name: 'r', engine: { type: 'vllm', connector: null, set_visible_devices: true } },
      roles: { decode: { env: { A: 1 } } },
    });
  });

  it('says where Dynamo comes from in one key, and leaves out what did not count', () => {
    const sourceOf = (dynamo: string) => plainOf(`name: r\ndynamo: ${dynamo}\n`);
    expect(sourceOf('{version: 1.0.0, install: false}')).toMatchObject({
      dynamo: { source: { pypi: '1.0.0' }, install: false },
    });
    expect(sourceOf('{wheel: 1.2, version: 1.0.0}')).toMatchObject({ dynamo: { source: { wheel: 1.2 } } });
    expect(sourceOf('{hash: abc, version: 1.0.0, cargo_patches: [x]}')).toMatchObject({
      dynamo: { source: { rev: 'abc', patches: ['x'] } },
    });
    expect(sourceOf('{top_of_tree: true, version: 1.0.0}')).toMatchObject({ dynamo: { top_of_tree: true } });
  });

  it('has services in place of infra and of a Mooncake store', () => {
    const text = `name: r
resources: {prefill_nodes: 1, prefill_workers: 1, decode_nodes: 1, decode_workers: 1}
# where NATS runs
infra:
  etcd_nats_dedicated_node: true   # alone
  nats_max_payload_mb: 32
backend:
  type: vllm
  prefill_environment: {A: own}
  # the store
  mooncake_kv_store:
    container: img # image
    master_extra_args: [--x]
    store_config: {protocol: rdma}
    env: {A: shared, B: shared, MOONCAKE_MASTER: x}
`;
    expect(plainOf(text)).toEqual({
      ...{ schema: 2, name: 'r', resources: {}, engine: 'vllm' },
      services: [
        { name: 'etcd', type: 'etcd', placement: { node: 'dedicated' } },
        { name: 'nats', type: 'nats', placement: { node: 'dedicated' }, options: { max_payload_mb: 32 } },
        {
          ...{ name: 'mooncake-master', type: 'mooncake-master', container: 'img', args: ['--x'] },
          options: { store_config: { protocol: 'rdma' } },
        },
      ],
      roles: {
        prefill: { nodes: 1, workers: 1, env: { A: 'own', B: 'shared' } },
        decode: { nodes: 1, workers: 1, env: { A: 'shared', B: 'shared' } },
      },
    });
    for (const comment of ['# where NATS runs', '# alone', '# the store', '# image'])
      expect(migrated(text).split(comment)).toHaveLength(2);
  });

  it('has one key for the place of its router and of its benchmark', () => {
    const text =
      'name: r\nfrontend: {dedicated_node: true, orchestrator_placement: first_decode}\nbenchmark: {client_placement: last_decode, client_dedicated_node: false}\n';
    expect(plainOf(text)).toMatchObject({
      frontend: { placement: { node: 'dedicated' } },
      benchmark: { placement: { node: 'last_decode' } },
    });
  });

  it('says for each role whether it publishes events', () => {
    const text =
      'name: r\nresources: {prefill_workers: 1, decode_workers: 1}\nbackend: {kv_events_config: true}\n';
    expect(plainOf(text)).toMatchObject({
      roles: { prefill: { kv_events: true }, decode: { kv_events: true } },
    });
    expect(plainOf('name: r\nbackend: {kv_events_config: {aggregated: {topic: t}}}\n')).toMatchObject({
      roles: { agg: { kv_events: { topic: 't' } } },
    });
  });

  it('is refused where the second layout cannot say it, with line and reason, all at once', () => {
    expect(
      refusal(
        'name: r\nfrontend: {type: sglang}\ninfra:\n  etcd_nats_dedicated_node: true\ndynamo:\n  top_of_tree: true\n  cargo_patches: [x]\n',
      ),
    ).toEqual([
      'r.yaml:3:1: infra: sets a node aside for etcd and NATS, which sglang does not use: the second layout has no way to say this',
      'r.yaml:7:3: dynamo.cargo_patches: needs a commit in the second layout: dynamo.hash',
    ]);
    expect(refusal('name: r\nbackend: {type: vllm, sglang_config: {prefill: {x: 1}}}\n')[0]).toContain(
      'backend.sglang_config: belongs to another engine than vllm',
    );
    expect(refusal('name: r\nfrontend: {type: "{f}"}\nsweep: {f: [sglang, dynamo]}\n')[0]).toContain(
      'takes "sglang" from the sweep',
    );
  });
});

describe('anchors', () => {
  it('still have their aliases when their sections move, and merge keys stay', () => {
    const text = `name: r
backend:
  type: vllm
  decode_environment: &env {A: 1}
  prefill_environment:
    <<: *env
    B: 2
  vllm_config:
    prefill: &args {x: 1}
    decode: *args
`;
    expect(migrated(text)).toBe(`schema: 2
name: r
engine: vllm
roles:
  prefill:
    env:
      <<: &env {A: 1}
      B: 2
    args: &args {x: 1}
  decode:
    env: *env
    args: *args
`);
  });

  it('of a section that is taken apart become copies, without a second comment', () => {
    const text = `base:
  name: r
  resources: &r
    gpus_per_node: 8 # GPUs
    agg_nodes: 1
    agg_workers: 1
override_x:
  resources: {<<: *r, agg_nodes: 2} # more
override_y:
  resources: *r
`;
    expect(variantsOf(text)).toEqual({
      x: {
        ...{ name: 'r_x', engine: 'sglang', resources: { gpus_per_node: 8 } },
        roles: { agg: { nodes: 2, workers: 1 } },
      },
      y: {
        ...{ name: 'r_y', engine: 'sglang', resources: { gpus_per_node: 8 } },
        roles: { agg: { nodes: 1, workers: 1 } },
      },
    });
    expect(migrated(text).match(/#/g)).toHaveLength(2);
  });

  it('of a changed value do not change others', () => {
    const text = 'name: &n sglang\nmodel: {path: *n}\nfrontend: {type: *n}\nbackend: {type: *n}\n';
    expect(plainOf(text)).toEqual({
      ...{ schema: 2, name: 'sglang', model: { path: 'sglang' } },
      ...{ frontend: { type: 'sglang-router' }, engine: 'sglang' },
    });
    expect(plainOf('name: x\nfrontend: {type: &n sglang}\nbackend: {type: *n}\n')).toMatchObject({
      ...{ frontend: { type: 'sglang-router' }, engine: 'sglang' },
    });
  });

  it('that are given twice stay apart', () => {
    const text =
      'name: r\nbackend:\n  decode_environment: &e {A: 1}\n  aggregated_environment: *e\n  prefill_environment: &e {A: 2}\nbenchmark: {env: *e}\n';
    expect(plainOf(text)).toMatchObject({
      roles: { prefill: { env: { A: 2 } }, decode: { env: { A: 1 } }, agg: { env: { A: 1 } } },
      benchmark: { env: { A: 2 } },
    });
  });
});

describe('overrides', () => {
  const base = `base:
  name: r
  resources: {gpus_per_node: 8, prefill_nodes: 1, prefill_workers: 1, decode_nodes: 1, decode_workers: 1}
  dynamo: {version: 1.0.0}
  frontend: {type: dynamo, dedicated_node: true}
  infra: {etcd_nats_dedicated_node: true}
  backend:
    sglang_config: {prefill: {a: 1, b: 1}, decode: {a: 1}}
    kv_events_config: true
`;

  it('change the parts that they changed, and null removes', () => {
    const text = `${base}override_x:
  resources: {decode_nodes: 2}
  backend:
    sglang_config: {prefill: {a: null, b: 2}}
    prefill_environment: {A: 1}
override_y:
  dynamo: {hash: abc}
  backend: {sglang_config: null, kv_events_config: {decode: true}}
`;
    const common = { schema: undefined, name: 'r_x', resources: { gpus_per_node: 8 }, engine: 'sglang' };
    const { x, y } = variantsOf(text) as Record<string, Record<string, unknown>>;
    expect(x).toMatchObject({
      resources: common.resources,
      engine: 'sglang',
      dynamo: { source: { pypi: '1.0.0' } },
      roles: {
        prefill: { nodes: 1, workers: 1, env: { A: 1 }, args: { b: 2 }, kv_events: true },
        decode: { nodes: 2, workers: 1, args: { a: 1 }, kv_events: true },
      },
    });
    expect(y?.dynamo).toEqual({ source: { rev: 'abc' } });
    expect(y?.roles).toEqual({
      prefill: { nodes: 1, workers: 1 },
      decode: { nodes: 1, workers: 1, kv_events: true },
    });
  });

  it('repeat the list of services, and the place of the router', () => {
    const text = `${base}override_x:
  infra: {nats_max_payload_mb: 32}
override_y:
  infra: {etcd_nats_dedicated_node: false}
  frontend: {dedicated_node: false}
`;
    const { x, y } = variantsOf(text) as Record<string, Record<string, unknown>>;
    const placement = { node: 'dedicated' };
    expect(x?.services).toEqual([
      { name: 'etcd', type: 'etcd', placement },
      { name: 'nats', type: 'nats', placement, options: { max_payload_mb: 32 } },
    ]);
    expect(y?.services).toEqual([]);
    expect(y?.frontend).toMatchObject({ placement: { node: 'head' } });
  });

  it('set knobs of an engine that base names', () => {
    const text =
      'base: {name: r, backend: {type: vllm}}\noverride_x: {backend: {connector: null}}\noverride_y: {backend: {connector: lmcache}}\n';
    expect(plainOf(text)).toMatchObject({
      base: { engine: { type: 'vllm' } },
      override_x: { engine: { connector: null } },
      override_y: { engine: { connector: 'lmcache' } },
    });
  });

  it('of lists give each variant its own', () => {
    const text = `${base}zip_override_z:
  resources: {decode_nodes: [1, 2]}
  frontend: {type: [sglang, dynamo], dedicated_node: [true, false]}
  infra: {etcd_nats_dedicated_node: [false]}
  dynamo: {version: [2.0.0, 3.0.0]}
  backend:
    sglang_config: {decode: {a: [1, 2]}}
`;
    const { z_0: first, z_1: second } = variantsOf(text) as Record<string, Record<string, unknown>>;
    expect(first).toMatchObject({
      roles: { decode: { nodes: 1, args: { a: 1 } } },
      frontend: { type: 'sglang-router', placement: { node: 'dedicated' } },
      dynamo: { source: { pypi: '2.0.0' } },
      services: [],
    });
    expect(second).toMatchObject({
      roles: { decode: { nodes: 2, args: { a: 2 } } },
      frontend: { type: 'dynamo', placement: { node: 'head' } },
      dynamo: { source: { pypi: '3.0.0' } },
      services: [],
    });
  });

  it('that remove a section or change the engine are refused', () => {
    expect(refusal(`${base}override_x: {backend: null}\n`)).toEqual([
      'r.yaml:10:14: override_x.backend: removes all of "backend", which is several sections in the second layout (remove its keys one by one)',
    ]);
    expect(refusal(`${base}override_x: {backend: {type: vllm, sglang_config: null}}\n`)[0]).toContain(
      'changes the engine',
    );
  });
});

describe('a migrated file', () => {
  it('stays as it is, to the last sign', () => {
    const text = 'name:   r\nresources: {agg_nodes: 1}\nbackend: {type: vllm}\n';
    const once = migrated(text);
    expect(migrated(once)).toBe(once);
    const second = 'schema: 2\nname:   r\nengine:   vllm\n';
    expect(migrated(second)).toBe(second);
  });

  it('has numbers where they were numbers, and text where it was text', () => {
    const text = small
      .replace('type: sglang', 'type: dynamo')
      .replace(
        /backend:\n(?: .*\n)+/,
        'backend: {type: trtllm, prefill_environment: {A: 1.0}, trtllm_config: {decode: {a: 1.0, b: "1.0"}}}\n',
      );
    const [before, after] = [text, migrated(text)].map(
      (each) => loadText(each)[0]?.points[0]?.recipe.backend,
    );
    expect(after).toEqual(before);
  });

  it('may keep the lock section of a run', () => {
    const text =
      'name: r\nbackend: {type: vllm}\n\n# lock of the run\nlock:\n  version: 2\n  integrity: abc\n';
    expect(migrated(text)).toBe(
      'schema: 2\nname: r\nengine: vllm\n\n# lock of the run\nlock:\n  version: 2\n  integrity: abc\n',
    );
  });
});
