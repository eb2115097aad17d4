import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ProcessSpec, processSpecSchema } from '../../../src/messages/spec/process-spec.ts';
import { identityOf, readyAnew, sameProcess } from '../../../src/messages/spec/same-process.ts';
import { specOf } from '../../support/spec.ts';

/** Another value for every field that a spec can have. */
const other: Required<Omit<ProcessSpec, 'id'>> = {
  role: 'decode',
  phase: 'proxy',
  node: 'node9',
  argv: ['sleep', '1'],
  env: { A: '1' },
  logFile: '/tmp/other',
  cwd: '/',
  files: [{ path: '/tmp/f', content: 'x' }],
  emptyDirs: ['/tmp/d'],
  mpi: { tasks: 2, nodes: ['node1'] },
  srunOptions: { mem: '0' },
  gpus: [3],
  seesGpus: true,
  sharesGpus: 'agg-0',
  order: 1,
  probeEveryMs: 1,
  mustStart: true,
  mayEnd: true,
  image: 'other/image',
  onHost: true,
  ports: { http: 7 },
  terminates: true,
  restartsWith: 'x',
  restart: 1,
  restartPolicy: { endpoint: 'agg-0', when: 'always', most: 1, backoffMs: 1, mostBackoffMs: 1 },
  probe: { kind: 'tcp', host: 'h', port: 1 },
  critical: false,
  givesUp: 'Failed job',
  fatalLines: ['^Rank'],
  fatalPatterns: ['Rank'],
  startTimeoutMs: 1,
  endTimeoutMs: 1,
  graceMs: 1,
  unhealthyAfterMs: 1,
  readyAfter: 'x',
  progress: { kind: 'output', files: ['/tmp/f'], hungAfterMs: 1 },
  metrics: [{ host: 'h', port: 1, path: '/metrics' }],
};
const fields = Object.keys(processSpecSchema.shape).filter((name) => name !== 'id') as (keyof typeof other)[];
const watching = [
  'probe',
  'probeEveryMs',
  'metrics',
  'order',
  'mustStart',
  'critical',
  'restartPolicy',
  'givesUp',
  'fatalLines',
  'fatalPatterns',
  'startTimeoutMs',
  'endTimeoutMs',
  'graceMs',
  'unhealthyAfterMs',
  'readyAfter',
  'progress',
];
const changed = fc.uniqueArray(fc.constantFrom(...fields));
const reversed = (map: Record<string, unknown>) => Object.fromEntries(Object.entries(map).reverse());

describe('two process specs', () => {
  it('describe the same process exactly when they differ only in monitoring', () => {
    fc.assert(
      fc.property(changed, changed, (first, second) => {
        const spec = (names: readonly (keyof typeof other)[]) =>
          Object.assign(specOf({ id: 'a' }), Object.fromEntries(names.map((name) => [name, other[name]])));
        const [a, b] = [spec(first), spec(second)];
        const matters = fields.filter((name) => !watching.includes(name));
        const differ = matters.filter((name) => first.includes(name) !== second.includes(name));
        expect(sameProcess(a, b)).toBe(differ.length === 0);
        expect(sameProcess(b, a)).toBe(sameProcess(a, b));
        expect(identityOf(a) === identityOf(b)).toBe(sameProcess(a, b));
        const ready = ['probe', 'readyAfter'] as const;
        expect(readyAnew(a, b)).toBe(ready.some((name) => first.includes(name) !== second.includes(name)));
      }),
    );
  });

  it('are the same after a transfer over the bus, and with their maps in any order', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.string()), changed, (env, names) => {
        const spec = Object.assign(
          specOf({ id: 'a' }),
          Object.fromEntries(names.map((name) => [name, other[name]])),
          {
            env,
          },
        );
        expect(sameProcess(spec, processSpecSchema.parse(JSON.parse(JSON.stringify(spec))))).toBe(true);
        expect(sameProcess(spec, { ...(reversed(spec) as ProcessSpec), env: reversed(env) as never })).toBe(
          true,
        );
      }),
    );
  });

  it('with different names are never the same process', () => {
    expect(sameProcess(specOf({ id: 'a', logFile: '/x' }), specOf({ id: 'b', logFile: '/x' }))).toBe(false);
  });
});
