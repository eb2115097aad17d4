import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { requireRunnable } from '../../src/recipe/checks/runnable.ts';
import { loadText } from '../recipe/write.ts';
import { option, processOf } from '../support/plan.ts';

const recipe = (frontend = '', roles = 'agg: {nodes: 1, workers: 2, gpus: 4}') => `schema: 2
name: picked
model: {path: hf:org/m, container: repo/image:1, precision: bf16}
resources: {gpu_type: h100, gpus_per_node: 8}
frontend: {type: llm-d, enable_multiple_frontends: false${frontend}}
engine: vllm
roles: {${roles}}
benchmark: {type: manual}
`;
const DISAGGREGATED = 'prefill: {nodes: 1, workers: 1}, decode: {nodes: 2, workers: 1}';

/** A file of a process, parsed. */
function fileOf(text: string, id: string, name: string) {
  const file = processOf(text, id).files?.find(({ path }) => path.endsWith(`/${name}`));
  return parse(file?.content ?? 'null');
}

describe('llm-d', () => {
  it('has a picker that reads its workers from a file, and Envoy that starts after it', () => {
    const picker = processOf(recipe(', args: {v: 2}'), 'frontend-0-epp');
    expect(picker.argv).toEqual([
      ...[
        'epp',
        '--pool-name=srtctl',
        '--pool-namespace=srtctl',
        '--config-file=/logs/llm-d-epp-config.yaml',
      ],
      ...['--grpc-port=9002', '--grpc-health-port=9003', '--metrics-port=9090', '--secure-serving=false'],
      ...['--v', '2'],
    ]);
    expect(picker.probe).toMatchObject({
      path: '/metrics',
      gauge: { name: 'llm_d_epp_ready_endpoints', least: 2 },
    });
    expect(fileOf(recipe(), 'frontend-0-epp', 'llm-d-endpoints.yaml')).toEqual({
      endpoints: [6100, 6132].map((port, index) => ({
        ...{ name: `agg-${index}-0`, namespace: 'srtctl', address: '10.0.0.1', port: String(port) },
        labels: { 'llm-d.ai/role': 'both' },
      })),
    });
    expect(fileOf(recipe(), 'frontend-0-epp', 'llm-d-epp-config.yaml')).toMatchObject({
      kind: 'EndpointPickerConfig',
      dataLayer: { discovery: { pluginRef: 'srtctl-file-discovery' } },
    });
    const envoy = processOf(recipe(), 'frontend-0');
    expect(envoy).toMatchObject({ order: 1, ports: { http: 8000, admin: 9901 } });
    const { static_resources: all } = fileOf(recipe(), 'frontend-0', 'llm-d-envoy.yaml');
    expect(all.listeners[0].address.socket_address.port_value).toBe(8000);
  });

  it('reaches a decode worker through a sidecar on its first node', () => {
    const text = recipe('', DISAGGREGATED);
    const sidecar = processOf(text, 'service-llm-d-sidecar-0');
    expect(() => processOf(text, 'service-llm-d-sidecar-1')).toThrow();
    expect(sidecar.argv).toEqual(
      expect.arrayContaining([
        'pd-sidecar',
        '--port=6701',
        '--model-server-port=6100',
        '--kv-connector=nixlv2',
      ]),
    );
    const { endpoints } = fileOf(text, 'frontend-0-epp', 'llm-d-endpoints.yaml');
    expect(endpoints.map(({ port, labels }: { port: string; labels: object }) => [port, labels])).toEqual([
      ['6100', { 'llm-d.ai/role': 'prefill' }],
      ['6701', { 'llm-d.ai/role': 'decode' }],
    ]);
    expect(option(processOf(text, 'decode-0-0').argv, '--kv-transfer-config')).toContain('NixlConnector');
  });

  it('keeps what the recipe says of the picker, and has prompts tokenized by a worker', () => {
    const config = ', epp_config: {plugins: [{type: token-producer}], schedulingProfiles: [{name: default}]}';
    const file = fileOf(recipe(config), 'frontend-0-epp', 'llm-d-epp-config.yaml');
    expect(file.schedulingProfiles).toEqual([{ name: 'default' }]);
    expect(file.plugins[0].parameters).toEqual({ modelName: 'm', vllm: { url: 'http://10.0.0.1:6100' } });
  });

  it.each([
    [
      'how workers are found',
      recipe(', epp_config: {plugins: [{type: file-discovery}]}'),
      'writes their file',
    ],
    [
      'workers that report their cache',
      recipe(', epp_config: {plugins: [{type: precise-prefix-cache-producer}]}'),
      'KV events',
    ],
    [
      'several routers',
      recipe().replace('frontends: false', 'frontends: true').replace('nodes: 1', 'nodes: 2'),
      'must be false',
    ],
    [
      'a server for each rank',
      recipe(
        '',
        'agg: {nodes: 1, workers: 1, args: {data-parallel-size: 8, data-parallel-external-lb: true}}',
      ),
      'for each rank',
    ],
  ])('is refused with %s', (_, text, why) => {
    const [variant] = loadText(text);
    if (!variant) throw new Error('no variant');
    expect(() => requireRunnable(variant, { mock: true, containers: false }, () => true)).toThrow(why);
  });
});
