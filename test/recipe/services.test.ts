import { describe, expect, it } from 'vitest';
import { RecipeProblems } from '../../src/recipe/source/problems.ts';
import { cluster, lineOf, loadText } from './write.ts';

const HEAD = `name: with-services
model: {path: /models/m, container: repo/image:1, precision: fp8}
resources: {gpu_type: h100, gpus_per_node: 8, agg_nodes: 1, agg_workers: 1}
frontend: {type: dynamo}
benchmark: {type: manual}
`;

/** A recipe with these services, each in one line of YAML. */
const withServices = (...services: readonly string[]): string =>
  `${HEAD}services:\n${services.map((service) => `  - ${service}\n`).join('')}`;

const servicesOf = (text: string) => loadText(text)[0]?.points[0]?.recipe.services ?? [];

describe('services of a recipe', () => {
  it('are generic, on, and without settings where they say nothing', () => {
    expect(servicesOf(withServices('{name: side, command: [sleep, infinity]}'))).toMatchObject([
      { name: 'side', type: 'generic', enabled: true, args: [], env: {}, terminal: false, metrics: [] },
    ]);
  });

  it('may have one endpoint of metrics in place of a list', () => {
    const [service] = servicesOf(withServices('{name: a, command: [x], metrics: {port: 9}}'));
    expect(service?.metrics).toEqual([{ port: 9, path: '/metrics', nodes: 'all' }]);
  });

  it('keep placeholders and all other braces', () => {
    const [service] = servicesOf(
      withServices(`{name: a, command: [x, "{pool_ip}", "{other}"], env: {J: '{"a": {"b": 1}}'}}`),
    );
    expect(service).toMatchObject({ command: ['x', '{pool_ip}', '{other}'], env: { J: '{"a": {"b": 1}}' } });
  });

  it('have their images by aliases', () => {
    const options = { cluster: cluster({ containers: { mine: 'registry/mine:2' } }) };
    const [variant] = loadText(withServices('{name: a, command: [x], container: mine}'), options);
    expect(variant?.points[0]?.recipe.services?.[0]?.container).toBe('registry/mine:2');
  });

  it.each([
    ['{type: generic, command: [x]}', 'services[0].name: is missing'],
    ['{name: "a b", command: [x]}', 'services[0].name: must be letters'],
    ['{name: a, type: genric, command: [x]}', 'services[0].type: must be one of generic, etcd'],
    ['{name: a, comand: [x]}', 'services[0].comand: unknown key (did you mean "command"?)'],
    ['{name: a}', 'services[0].command: is missing: a generic service has no command of its own'],
    ['{name: a, command: []}', 'services[0].command: is empty'],
    ['{name: a, command: [x, " "]}', 'services[0].command[1]: is empty'],
    ['{name: a, command: [x], nodes: 0}', 'services[0].nodes: must be at least 0'],
    [
      '{name: a, command: [x], nodes: 2, placement: {node: head}}',
      'services[0].placement.node: is given beside nodes',
    ],
    [
      '{name: a, command: [x], nodes: 2, placement: {pool: b}}',
      'services[0].placement.pool: is given beside nodes',
    ],
    [
      '{name: a, command: [x], placement: {node: dedicated}}',
      'services[0].placement.node: dedicated is for etcd',
    ],
    [
      '{name: a, command: [x], placement: {node: everywhere}}',
      'services[0].placement.node: must be one of head',
    ],
    ['{name: a, command: [x], placement: {pool: b}}', 'services[0].placement.pool: there is no service "b"'],
    ['{name: a, command: [x], placement: {pool: a}}', 'services[0].placement.pool: is the service itself'],
    [
      '{name: a, command: [x], placement: {per: worker}}',
      'services[0].placement.node: must be prefill, decode, agg or workers',
    ],
    [
      '{name: a, command: [x], placement: {node: agg, per: worker}, readiness: {port: 1}}',
      'services[0].readiness: must be log with per: worker',
    ],
    ['{name: a, command: [x], start: first}', 'services[0].start: must be one of infra, before_workers'],
    [
      '{name: a, command: [x], external: "http://b:1"}',
      'services[0].external: is for etcd, nats and mooncake-master',
    ],
    ['{name: a, command: [x], readiness: {}}', 'services[0].readiness: names no check'],
    [
      '{name: a, command: [x], readiness: {port: 1, log: {pattern: x}}}',
      'services[0].readiness: names port and log',
    ],
    [
      '{name: a, command: [x], readiness: {port: 70000}}',
      'services[0].readiness.port: must be at most 65535',
    ],
    [
      '{name: a, command: [x], readiness: {log: {pattern: "(?=x)"}}}',
      'services[0].readiness.log.pattern: has look-around',
    ],
    [
      '{name: a, command: [x], readiness: {http: {port: 1, path: x}}}',
      'services[0].readiness.http.path: must begin with "/"',
    ],
    [
      '{name: a, command: [x], readiness: {port: 1, timeout_seconds: 0}}',
      'services[0].readiness.timeout_seconds: must be at least 0',
    ],
    ['{name: a, command: [x], build_command: [make]}', 'services[0].build_command: has nothing to build'],
    ['{name: a, command: [x], source: {git: u, rev: main}}', 'services[0].source.rev: is a branch'],
    ['{name: a, command: [x], source: {git: u, rev: HEAD}}', 'services[0].source.rev: is a branch'],
    [
      '{name: a, command: [x], source: {git: "--upload-pack=x", rev: v1}}',
      'services[0].source.git: begins with a dash',
    ],
    [
      '{name: a, command: [x], source: {git: u, rev: v1, path: ../..}}',
      'services[0].source.path: must be below',
    ],
    [
      '{name: a, command: [x], nodes: 2, source: {git: u, rev: v1}}',
      'services[0].source: is built on one node',
    ],
    [
      '{name: a, command: [x], placement: {node: all}, source: {git: u, rev: v1}}',
      'services[0].source: is built on one node',
    ],
    [
      '{name: nats, type: nats, options: {max_payload: 8}}',
      'services[0].options.max_payload: is no option of a nats service: did you mean "max_payload_mb"?',
    ],
    [
      '{name: a, command: [x], options: {b: 1}}',
      'services[0].options.b: is no option of a generic service: it has none',
    ],
    ['{name: nats, type: nats, options: {max_payload_mb: -1}}', 'services[0].options.max_payload_mb:'],
    [
      '{name: etcd, type: etcd, placement: {node: workers}}',
      'services[0].placement.node: must be head, infra or dedicated for a etcd service',
    ],
    ['{name: etcd, type: etcd, nodes: 1}', 'services[0].nodes: a etcd service is on the infra node'],
    ['{name: s, type: mooncake-store}', 'services[0].type: mooncake-store needs a mooncake-master service'],
    [
      '{name: d, type: mooncake-donor, placement: {node: decode}, options: {size: 1GiB}}',
      'services[0].type: mooncake-donor is for trtllm workers',
    ],
    ['{name: d, type: mooncake-donor, placement: {node: decode}}', 'services[0].options.size: is missing'],
    ['{name: g, type: gms, placement: {node: workers}}', 'services[0].placement.per: must be worker'],
    [
      '{name: a, command: [x], metrics: [{port: 1}, {port: 2}]}',
      'services[0].metrics: has several endpoints',
    ],
    ['{name: a, command: [x], env: {"A-B": x}}', 'services[0].env.A-B: is no name'],
  ])('refuse %s', (service, message) => {
    expect(lineOf(withServices(service))).toMatch(`recipe.yaml:7:`);
    expect(lineOf(withServices(service))).toContain(message);
  });

  it.each([
    [['{name: a, command: [x]}', '{name: a, command: [y]}'], 'services[1].name: "a" is the name of another'],
    [
      ['{name: a-b, command: [x]}', '{name: a_b, command: [y]}'],
      'would share the variables SRT_SERVICE_A_B_',
    ],
    [
      ['{name: a, command: [x], placement: {pool: b}}', '{name: b, command: [x], placement: {pool: a}}'],
      'services[0].placement.pool: service "b" is itself on the nodes of "a"',
    ],
    [
      ['{name: a, command: [x]}', '{name: b, command: [x], placement: {pool: a}}'],
      'services[1].placement.pool: service "a" has no nodes of its own',
    ],
    [
      ['{name: train, command: [x], nodes: 1}', '{name: b, command: [x], placement: {pool: trian}}'],
      'services[1].placement.pool: there is no service "trian": did you mean "train"?',
    ],
    [
      ['{name: etcd, type: etcd, placement: {node: dedicated}}', '{name: nats, type: nats}'],
      'services[1].placement: differs from that of etcd',
    ],
    [['{name: e1, type: etcd}', '{name: e2, type: etcd}'], 'services[1].type: is a second etcd service'],
  ])('refuse services that do not go together: %s', (services, message) => {
    expect(lineOf(withServices(...services))).toContain(message);
  });

  it('are refused all at once, each with its line', () => {
    try {
      loadText(
        withServices('{name: a}', '{name: b, command: [x], placement: {pool: c}}', '{name: c, command: []}'),
      );
      throw new Error('it was taken');
    } catch (error) {
      if (!(error instanceof RecipeProblems)) throw error;
      expect(error.problems.map(({ place }) => [place.line, place.path])).toEqual([
        [7, 'services[0].command'],
        [9, 'services[2].command'],
        [8, 'services[1].placement.pool'],
      ]);
    }
  });
});

describe('a recipe with services', () => {
  const refused = (from: string, to: string, ...services: readonly string[]) =>
    lineOf(withServices(...services).replace(from, to));

  it('has one end: a terminal service, or a benchmark', () => {
    const service = '{name: a, command: [x], nodes: 1, terminal: true}';
    expect(refused('type: manual', 'type: custom, command: x', service)).toContain(
      'services[0].terminal: the job would have two ends',
    );
    expect(servicesOf(withServices(service))).toHaveLength(1);
  });

  it('has no pools in a heterogeneous job', () => {
    const text = refused(
      'agg_nodes: 1, agg_workers: 1',
      'prefill_nodes: 1, prefill_workers: 1, decode_nodes: 1, decode_workers: 1, het_jobs: true',
      '{name: a, command: [x], nodes: 1}',
    );
    expect(text).toContain('services[0].nodes: a heterogeneous job');
  });

  it('has no frontend exactly when it has no workers, and then a pool', () => {
    const pool = '{name: a, command: [x], nodes: 1}';
    expect(refused('type: dynamo', 'type: none', pool)).toContain(
      'frontend.type: none is for jobs of services alone',
    );
    const alone = withServices(pool)
      .replace('type: dynamo', 'type: none')
      .replace(', agg_nodes: 1, agg_workers: 1', '');
    expect(loadText(alone)).toHaveLength(1);
    expect(lineOf(alone.replace('nodes: 1}', 'nodes: 1, enabled: false}'))).toContain(
      'and no service has nodes',
    );
    expect(
      lineOf(alone.replace('type: manual', 'type: sa-bench, isl: 1, osl: 1, concurrencies: 1')),
    ).toContain('benchmark.type: sa-bench sends requests to a router');
  });
});
