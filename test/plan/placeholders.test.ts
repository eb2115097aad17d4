import { describe, expect, it } from 'vitest';
import { warningsOf } from '../../src/recipe/checks/warnings.ts';
import { lineOf, loadText, small } from '../recipe/write.ts';
import { option, pointsOf, processOf } from '../support/plan.ts';

const withEnvironment = (value: string) =>
  small.replace('backend:\n', `backend:\n  prefill_environment: {X: '${value}'}\n`);
const envOf = (value: string) => processOf(withEnvironment(value), 'prefill-0-0').env.X;

describe("a job's placeholders", () => {
  it('have their values in the environment of a worker', () => {
    expect(envOf('/tmp/cache-{job_id}')).toBe('/tmp/cache-12345');
    expect(envOf('{run_name} {gpus_per_node} {head_node_ip}')).toBe('small_12345 8 10.0.0.1');
    expect(envOf('{log_dir}/x {model_path} {container_image}')).toBe(
      '/outputs/12345/logs/x /model repo/image:1',
    );
    expect(envOf('{nodelist}')).toBe('node1,node2');
    expect(envOf('{node}-{node_id}')).toBe('node1-0');
  });

  it('have their values in the environment of everything, of routers and of the benchmark', () => {
    const text = `${small}environment: {A: "{job_id}"}\n`
      .replace('frontend:\n', 'frontend:\n  env: {B: "{job_id}"}\n')
      .replace(
        '{type: sa-bench, isl: 128, osl: 128, concurrencies: 1x4}',
        '{type: custom, command: "true", env: {C: "{job_id} {node}"}}',
      );
    expect(processOf(text, 'decode-0-0').env.A).toBe('12345');
    expect(processOf(text, 'frontend-0').env).toMatchObject({ A: '12345', B: '12345' });
    expect(processOf(text, 'benchmark').env).toMatchObject({ A: '12345', C: '12345 node1' });
  });

  it('have their values in options of engines', () => {
    const text = small.replace(
      '{tensor-parallel-size: 8}',
      '{dump: "/tmp/{job_id}/{node}", tensor-parallel-size: 8}',
    );
    expect(option(processOf(text, 'prefill-0-0').argv, '--dump')).toBe('/tmp/12345/node1');
  });

  it.each([
    '{"a": {"b": 1}}',
    '{"path": "{b}"}',
    '${HOME}',
    '${job_id}',
    '{{job_id}}',
    '{{ item }}',
    '{a: b}',
    '{unknown}',
    '{}',
  ])('leave other braces of an environment alone: %s', (value) => {
    expect(envOf(value)).toBe(value);
  });

  it("do not change a benchmark's command, which is a program", () => {
    const command = "awk '{job_id}'";
    const text = small.replace(/benchmark: .*/, `benchmark: {type: custom, command: "${command}"}`);
    expect(processOf(text, 'benchmark').argv).toContain(command);
  });

  it('fill inside of JSON', () => {
    expect(envOf('{"path": "/tmp/{job_id}", "n": {gpus_per_node}}')).toBe('{"path": "/tmp/12345", "n": 8}');
  });

  it('are the same for all points of a sweep, so that workers stay', () => {
    const text = `sweep: {c: [1, 2]}\n${withEnvironment('{run_name}')}`.replace('1x4', '["{c}"]');
    expect(pointsOf(text).map(({ processes }) => processes[0]?.env.X)).toEqual([
      'small_12345',
      'small_12345',
    ]);
  });

  it('leave the recipe as it was asked, so that its result set is the same in every job', () => {
    const [point] = pointsOf(withEnvironment('{job_id}'));
    expect(point?.recipe.backend.prefill_environment).toEqual({ X: '{job_id}' });
  });

  it('are refused where nothing knows the job yet', () => {
    expect(lineOf(small.replace('/models/m', '"/models/{job_id}"'))).toBe(
      'recipe.yaml:2:9: model.path: placeholder {job_id} has no value here, because this is read before the job has one',
    );
  });

  it('are refused with the nearest name where only they can be meant', () => {
    expect(lineOf(`${small}container_mounts: {"/s/{jobid}": /r}\n`)).toContain(
      'placeholder {jobid} is not a parameter of the sweep (did you mean {job_id}?)',
    );
  });
});

describe('a likely misspelling of a placeholder', () => {
  it('is a warning where braces may have another meaning', () => {
    const [variant] = loadText(withEnvironment('/tmp/{jobid} {other}'));
    if (!variant) throw new Error('no variant');
    expect(warningsOf(variant, { mock: false, containers: true })).toEqual([
      expect.stringMatching(
        /backend\.prefill_environment\.X: \{jobid\} is left as it is; is \{job_id\} meant\?$/,
      ),
    ]);
  });
});

describe('a misspelt parameter of a sweep', () => {
  const swept = (value: string) => `sweep: {concurrency: [1, 2]}\n${withEnvironment(value)}`;

  it('is refused with the nearest name, also in text that may have other braces', () => {
    expect(lineOf(swept('{concurency}'))).toMatch(
      /^recipe\.yaml:\d+:\d+: backend\.prefill_environment\.X: placeholder \{concurency\} is not a parameter of the sweep \(did you mean \{concurrency\}\?\)/,
    );
  });

  it('is not suspected in a name that is not similar', () => {
    expect(loadText(swept('{page} {concurrency}'))[0]?.points[1]?.recipe.backend).toMatchObject({
      prefill_environment: { X: '{page} 2' },
    });
  });

  it('is refused as the whole value of an option, where an engine would get the braces', () => {
    expect(lineOf(small.replace('size: 8', 'size: "{tp}"'))).toContain(
      'placeholder {tp} is not a parameter of the sweep',
    );
  });
});
