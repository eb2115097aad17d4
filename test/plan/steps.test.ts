import { describe, expect, it } from 'vitest';
import { small } from '../recipe/write.ts';
import { pointOf } from '../support/plan.ts';

const stepsOf = (text: string, config: Parameters<typeof pointOf>[1] = {}) =>
  pointOf(text, config).processes.filter(({ role }) => role === 'step');

const told = (text: string, config: Parameters<typeof pointOf>[1] = {}): string[] =>
  stepsOf(text, config).map(({ id, phase, node, argv }) =>
    [phase, id, node, ...argv.map((word) => word.replace(/^.*\/dist\//, ''))].join(' '),
  );

const dynamo = small.replace('type: sglang', 'type: dynamo');
const fromHub = small.replace(/path: [^\s,]+/, 'path: "hf:org/name"');

describe('steps before the engines', () => {
  it('are none when a recipe requests none', () => {
    expect(stepsOf(small)).toEqual([]);
  });

  it('clone with the version of HTTP that the cluster wants', () => {
    const [step] = stepsOf(`${dynamo}dynamo: {hash: abc}\n`, { git_http_version: 'HTTP/1.1' });
    expect(step?.env).toMatchObject({
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'http.version',
      GIT_CONFIG_VALUE_0: 'HTTP/1.1',
    });
  });

  it('fetch a model of the hub once when nodes share its cache, and else on each node of the workers', () => {
    expect(told(fromHub, { hf_home: '/shared/hf' })).toEqual([
      'fetch fetch-model-0 node1 python3 steps/fetch-model.py org/name',
    ]);
    const [step] = stepsOf(fromHub, { hf_home: '/shared/hf' });
    expect(step).toMatchObject({
      env: { HF_HOME: '/shared/hf' },
      terminates: true,
      endTimeoutMs: 43_200_000,
    });
    const point = pointOf(fromHub, { hf_home: '/shared/hf' });
    expect(point.processes.find(({ id }) => id === 'decode-0-0')?.env.HF_HOME).toBe('/shared/hf');
    expect(told(fromHub)).toHaveLength(2);
    expect(told(`${fromHub}environment: {HF_HOME: /cache}\n`)).toHaveLength(1);
  });

  it('install the requested Dynamo on every node that runs it', () => {
    expect(told(`${dynamo}dynamo: {version: 1.2.0}\n`)).toEqual([
      'install install-dynamo-0 node1 bash steps/install-dynamo.sh 1.2.0',
      'install install-dynamo-1 node2 bash steps/install-dynamo.sh 1.2.0',
    ]);
    expect(told(`${dynamo}dynamo: {version: 1.2.0, install: false}\n`)).toEqual([]);
    expect(told(`${small}dynamo: {version: 1.2.0}\n`)).toEqual([]);
  });

  it('build Dynamo on one node for a requested commit, before it is installed on all', () => {
    const text = `${dynamo}dynamo: {hash: abc, cargo_patches: ['a = "1"']}\n`;
    expect(told(text).map((line) => line.replace(/\S*\/12345/, 'JOB'))).toEqual([
      'fetch build-dynamo-0 node1 bash steps/build-dynamo.sh abc JOB/dynamo-wheels a = "1"',
      'install install-dynamo-0 node1 bash steps/install-dynamo.sh --built JOB/dynamo-wheels',
      'install install-dynamo-1 node2 bash steps/install-dynamo.sh --built JOB/dynamo-wheels',
    ]);
  });

  it('copy the model to a disk of each node, from which the workers load it', () => {
    const text = small.replace(/path: (\S+),/, 'path: $1, stage_dir: /raid/models/,');
    const point = pointOf(text);
    const steps = point.processes.filter(({ role }) => role === 'step');
    expect(steps.map(({ id, phase }) => `${phase} ${id}`)).toEqual([
      'install stage-model-0',
      'install stage-model-1',
    ]);
    const target = steps[0]?.argv.at(-1);
    expect(steps[0]?.argv.at(-2)).toBe('/model');
    expect(target).toMatch(/^\/raid\/models\/[^/]+$/);
    const worker = point.processes.find(({ id }) => id === 'prefill-0-0');
    expect(worker?.argv[worker.argv.indexOf('--model-path') + 1]).toBe(target);
  });
});

describe('default_bash_preamble', () => {
  it('comes before the commands of the engines, whose arguments do not change', () => {
    const { processes } = pointOf(small, { default_bash_preamble: 'ulimit -n 65536' });
    const worker = processes.find(({ id }) => id === 'prefill-0-0');
    const [plain] = pointOf(small).processes.filter(({ id }) => id === 'prefill-0-0');
    expect(worker?.argv).toEqual([
      ...['bash', '-c', 'ulimit -n 65536\nexec "$@"', 'bash'],
      ...(plain?.argv ?? []),
    ]);
    expect(processes.find(({ role }) => role === 'etcd')?.argv[0] ?? 'etcd').toBe('etcd');
  });
});
