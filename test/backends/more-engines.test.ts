import { describe, expect, it } from 'vitest';
import { requireRunnable } from '../../src/recipe/checks/runnable.ts';
import { loadText } from '../recipe/write.ts';
import { option, pointOf, processOf } from '../support/plan.ts';

const recipe = (backend: string, frontend: string, resources: string, rest = '') => `name: one
model: {path: hf:org/model, container: repo/image:1, precision: fp8}
resources: {gpu_type: mi355x, gpus_per_node: 8, ${resources}}
frontend: {${frontend}, enable_multiple_frontends: false}
backend: ${backend}
benchmark: {type: manual}
${rest}`;
const pair = 'prefill_nodes: 1, prefill_workers: 1, decode_nodes: 1, decode_workers: 1';
const shared =
  'prefill_nodes: 1, prefill_workers: 1, gpus_per_prefill: 4, decode_nodes: 0, decode_workers: 1, gpus_per_decode: 4';

describe('ATOM', () => {
  const text = recipe(
    `
  type: atom
  mooncake_protocol: tcp
  prefill_environment: {ATOM_MOE_GU_ITLV: "1"}
  atom_config:
    prefill: {kv_cache_dtype: fp8, no-enable_prefix_caching: true, max-model-len: 9472}
    decode: {kv_cache_dtype: fp8, extra-kv-connectors: [{kv_connector: lmcache_mp, kv_role: kv_both}]}`,
    'type: atomesh, args: {policy: random, prometheus-port: 29100}',
    shared,
  );

  it('keeps its options as they are spelled, and tells each worker where its peer meets it', () => {
    const prefill = processOf(text, 'prefill-0-0');
    expect(prefill.argv).toEqual([
      ...['python3', '-m', 'atom.entrypoints.openai_server', '--model', 'org/model'],
      ...['--host', '0.0.0.0', '--server-port', '6100', '-tp', '4', '--port', '17500'],
      '--kv-transfer-config',
      '{"kv_role":"kv_producer","kv_connector":"mooncake","proxy_ip":"10.0.0.1","handshake_port":5400,"protocol":"tcp"}',
      ...['--kv_cache_dtype', 'fp8', '--max-model-len', '9472', '--no-enable_prefix_caching'],
    ]);
    expect(prefill.env).toMatchObject({
      ...{ ATOM_HOST_IP: '10.0.0.1', ATOM_MOE_GU_ITLV: '1', CUDA_VISIBLE_DEVICES: '0,1,2,3' },
    });
    const { argv } = processOf(text, 'decode-0-0');
    const { kv_connector, connectors } = JSON.parse(option(argv, '--kv-transfer-config') ?? '');
    expect(kv_connector).toBe('multi');
    // Behind those of the four ranks of the prefill worker.
    expect(connectors).toMatchObject([
      { kv_role: 'kv_consumer', handshake_port: 5405 },
      { kv_connector: 'lmcache_mp', kv_connector_extra_config: { 'lmcache.mp.port': 8750 } },
    ]);
  });

  it('is behind its own router, which starts when its workers are ready', () => {
    const router = processOf(text, 'frontend-0');
    expect(router).toMatchObject({ phase: 'frontend', ports: { http: 8000, metrics: 29100 } });
    expect(router.argv.join(' ')).toContain(
      'atomesh launch --pd-disaggregation --prefill http://10.0.0.1:6100 --decode http://10.0.0.1:6132 --host 0.0.0.0 --port 8000 --backend atom',
    );
    const own = text.replace('policy: random', 'backend: sglang');
    expect(() => pointOf(own)).toThrow('is set by srtctl');
  });

  it('refuses options of srtctl, and a worker of several nodes', () => {
    const own = text.replace('max-model-len: 9472', 'tensor_parallel_size: 8');
    expect(() => pointOf(own)).toThrow('is set by srtctl');
    const large = text.replace(shared, 'agg_nodes: 2, agg_workers: 1');
    expect(() => pointOf(large)).toThrow('must fit on one node');
  });

  it('has one mask of devices where the cluster names it', () => {
    const { processes } = pointOf(text, { visible_devices_env: 'ROCR_VISIBLE_DEVICES' });
    const { env = {} } = processes.find(({ id }) => id === 'decode-0-0') ?? {};
    expect(env).toMatchObject({ ROCR_VISIBLE_DEVICES: '4,5,6,7' });
    expect(env).not.toHaveProperty('CUDA_VISIBLE_DEVICES');
  });
});

describe('TileRT', () => {
  const text = recipe(
    '{type: tilert, tilert_config: {decode: {model: glm5_2, with-mtp: true, num-mtp: 3}}}',
    'type: tilert-router, args: {parser: none, queue-timeout: 1800}',
    pair,
    `roles: {prefill: {container: "repo/prefill:1", engine: {type: vllm, vllm_config: {prefill: {served-model-name: glm5_2}}}}}
`,
  );

  it('decodes what vLLM has prefilled, behind its own router', () => {
    expect(processOf(text, 'decode-0-0').argv).toEqual([
      ...['python', '-m', 'tilert.pd_vllm.decode_server', '--engine', 'tilert'],
      ...['--http-port', '6100', '--ctrl-port', '5401', '--model', 'glm5_2', '--num-mtp', '3', '--with-mtp'],
    ]);
    const prefill = processOf(text, 'prefill-0-0');
    expect(prefill.argv.slice(0, 3)).toEqual(['vllm', 'serve', 'org/model']);
    expect(prefill.image).toBe('repo/prefill:1');
    expect(processOf(text, 'frontend-0').argv).toEqual([
      ...['python', '-m', 'tilert.pd_vllm.pd_router', '--vllm-url', 'http://10.0.0.1:6100'],
      ...['--decode', '10.0.0.2:5401:6100', '--host', '0.0.0.0', '--port', '8000'],
      ...['--parser', 'none', '--queue-timeout', '1800'],
    ]);
  });

  it('may have one section for both roles, whose prefill workers are vLLM', () => {
    const both = text
      .replace(/roles: .*\n/, '')
      .replace(
        '{type: tilert,',
        '{type: tilert, model_profile: glm5, prefill_container: prefiller, weights_dir: /w, weight_model_type: glm-5,',
      );
    const { processes } = pointOf(both, { containers: { prefiller: 'repo/prefiller:1' } });
    const prefill = processes.find(({ id }) => id === 'prefill-0-0');
    expect(prefill).toMatchObject({ image: 'repo/prefiller:1', env: { TILERT_ROLE: 'prefill' } });
    expect(prefill?.argv.slice(0, 5)).toEqual([
      'vllm',
      'serve',
      'org/model',
      '--served-model-name',
      'org/model',
    ]);
    expect(JSON.parse(option(prefill?.argv ?? [], '--kv-transfer-config') ?? '')).toMatchObject({
      ...{ kv_connector: 'TileRTConnector', kv_connector_extra_config: { tilert_model: 'glm5' } },
    });
    const { argv } = processOf(both, 'decode-0-0');
    expect(option(argv, '--model-weights-dir')).toBe('/w');
    expect(option(argv, '--transport')).toBe('nixl');
  });

  it('refuses workers that its router has no use for', () => {
    expect(() => pointOf(text.replace(/roles: .*\n/, ''))).toThrow('TileRT has decode workers alone');
    const two = text.replace('prefill_nodes: 1, prefill_workers: 1', 'prefill_nodes: 2, prefill_workers: 2');
    expect(() => pointOf(two)).toThrow('one prefill worker');
    const sglang = text.replace(
      '{type: vllm, vllm_config: {prefill: {served-model-name: glm5_2}}}',
      '{type: sglang}',
    );
    expect(() => pointOf(sglang)).toThrow('has no SGLang workers');
  });

  it('cannot be measured by completions, which its router does not stream', () => {
    const measured = text.replace('type: manual', 'type: sa-bench, isl: 8, osl: 8, concurrencies: "1"');
    const check = (words: string) => {
      const [variant] = loadText(words);
      if (variant) requireRunnable(variant, { mock: true, containers: false }, () => true);
    };
    expect(() => check(measured.replace('osl: 8', 'osl: 8, use_chat_template: false'))).toThrow(
      'streams answers of /v1/chat/completions alone',
    );
    expect(() => check(measured.replace('osl: 8', 'osl: 8, use_chat_template: true'))).not.toThrow();
  });
});

describe('TokenSpeed', () => {
  const options = '{type: tokenspeed, tokenspeed_config: {prefill: {max-model-len: 4096}}}';

  it('is wrapped by Dynamo, and meets on a range of ports of its leader', () => {
    const text = recipe(options, 'type: dynamo', shared);
    expect(processOf(text, 'prefill-0-0').argv).toEqual([
      ...['python3', '-m', 'dynamo.tokenspeed', '--model', 'org/model', '--served-model-name', 'model'],
      ...['--host', '10.0.0.1', '--port', '17500', '--dist-init-addr', '10.0.0.1:12000'],
      ...['--nnodes', '1', '--node-rank', '0', '--disaggregation-mode', 'prefill'],
      ...['--disaggregation-bootstrap-port', '7200', '--max-model-len', '4096'],
    ]);
    expect(option(processOf(text, 'decode-0-0').argv, '--dist-init-addr')).toBe('10.0.0.1:12100');
  });

  it('is a gRPC server behind smg, whose command line says so', () => {
    const text = recipe(options, 'type: smg', pair);
    expect(processOf(text, 'decode-0-0').probe).toEqual({ kind: 'tcp', host: '10.0.0.2', port: 6100 });
    expect(processOf(text, 'decode-0-0').env).toMatchObject({ TOKENSPEED_SKIP_GRPC_WARMUP: '1' });
    const { argv } = processOf(text, 'frontend-0');
    expect(option(argv, '--decode')).toBe('grpc://10.0.0.2:6100');
  });
});

describe('a router', () => {
  const dynamo = (frontend: string) =>
    recipe('{type: sglang}', `type: dynamo, ${frontend}`, 'agg_nodes: 1, agg_workers: 1');

  it('has an image of its own, and is bound to a NUMA node, where the recipe says so', () => {
    const { argv, image } = processOf(dynamo('container_image: router, numa_bind: true'), 'frontend-0');
    expect(image).toBe('router');
    expect(argv.slice(0, 4)).toEqual(['numactl', '--cpunodebind=0', '--membind=0', 'python3']);
  });

  it('of Dynamo reads its rules for the choice of workers from a file', () => {
    const text = dynamo('worker_selection: {prefill: max-kv-overlap}');
    const { argv, files } = processOf(text, 'frontend-0');
    expect(option(argv, '--router-policy-config')).toBe('/logs/router_policy_config.yaml');
    expect(files?.[0]?.content).toBe('worker_selection:\n  prefill: max-kv-overlap\n');
    const two = text.replace(
      'worker_selection:',
      'args: {router_policy_config: /own.yaml}, worker_selection:',
    );
    expect(() => pointOf(two)).toThrow('names another policy');
  });
});

it.each([
  ['publish_metrics: true', '--publish-metrics'],
  ['publish_metrics: true, publish_events_and_metrics: true', '--publish-events-and-metrics'],
  ['publish_metrics: false', undefined],
  ['publish_events_and_metrics: false', undefined],
])('TensorRT-LLM with %s publishes by %s', (keys, expected) => {
  const text = recipe(`{type: trtllm, ${keys}}`, 'type: dynamo', 'agg_nodes: 1, agg_workers: 1');
  const { argv } = processOf(text, 'agg-0-0');
  expect(argv.find((word) => word.startsWith('--publish'))).toBe(expected);
});

describe('vLLM with MoRI-IO', () => {
  const text = recipe('{type: vllm, connector: moriio}', 'type: vllm-router', shared);

  it('reports to its router, and has ports for each of its ranks', () => {
    const decode = processOf(text, 'decode-0-0');
    expect(JSON.parse(option(decode.argv, '--kv-transfer-config') ?? '')).toEqual({
      kv_connector: 'MoRIIOConnector',
      kv_role: 'kv_consumer',
      kv_connector_extra_config: {
        ...{ proxy_ip: '10.0.0.1', proxy_ping_port: '36367', http_port: '6132', host_ip: '10.0.0.1' },
        ...{ handshake_port: '26004', notify_port: '27004', read_mode: true },
      },
    });
    expect(decode.env).not.toHaveProperty('VLLM_PORT');
    expect(decode.env).not.toHaveProperty('VLLM_NIXL_SIDE_CHANNEL_PORT');
    const router = processOf(text, 'frontend-0');
    expect(router.argv.join(' ')).toContain(
      '--vllm-pd-disaggregation --kv-connector moriio --vllm-discovery-address 0.0.0.0:36367 --host',
    );
    expect(router.probe).toMatchObject({ path: '/health' });
    expect(router.probe).not.toHaveProperty('expect');
  });

  it.each([
    ['connector: moriio}', 'connector: moriio, vllm_config: {decode: {connector: nixl}}}', 'both of them'],
    ['type: vllm-router', 'type: dynamo', 'no other router'],
    ['enable_multiple_frontends: false', 'enable_multiple_frontends: true', 'must be false'],
  ])('is refused with %s as %s', (from, to, message) => {
    expect(() => pointOf(text.replace(from, to))).toThrow(message);
  });
});

describe('SGLang without a router', () => {
  const text = (roles: string) => `schema: 2
name: direct
model: {path: hf:org/model, container: repo/image:1, precision: fp8}
resources: {gpu_type: h100, gpus_per_node: 8}
frontend: {type: sglang, enable_multiple_frontends: false}
engine: sglang
roles: {${roles}}
benchmark: {type: manual}
`;

  it('is the only worker, whose first rank serves the port of clients', () => {
    const { processes } = pointOf(text('agg: {nodes: 2, workers: 1}'));
    const started = processes.filter(({ role }) => role !== 'step');
    expect(started.map(({ id }) => id)).toEqual(['agg-0-0', 'agg-0-1']);
    const [leader, follower] = started;
    expect(option(leader?.argv ?? [], '--port')).toBe('8000');
    expect(leader).toMatchObject({ ports: { http: 8000 }, probe: { port: 8000, path: '/health' } });
    expect(option(follower?.argv ?? [], '--port')).toBe('0');
    expect(follower).toMatchObject({ probe: { host: '10.0.0.1', port: 8000 } });
  });

  it('is refused for several workers, and for prefill and decode workers', () => {
    expect(() => pointOf(text('agg: {nodes: 2, workers: 2}'))).toThrow('several aggregated workers');
    expect(() => pointOf(text('prefill: {nodes: 1, workers: 1}, decode: {nodes: 1, workers: 1}'))).toThrow(
      'has no router for prefill and decode workers',
    );
  });
});
