import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ProcessSpec } from '../../../src/messages/spec/process-spec.ts';
import { type Held, inTheWay, reconcile } from '../../../src/node-agent/processes/reconcile.ts';
import { specOf } from '../../support/spec.ts';

const aSpec = fc
  .record({ id: fc.constantFrom('a', 'b', 'c', 'd'), port: fc.integer({ min: 1, max: 3 }) })
  .map(({ id, port }) => specOf({ id, argv: ['serve', String(port)], ports: { http: port } }));
const someSpecs = fc.uniqueArray(aSpec, { selector: (spec) => spec.id });
const held = (specs: ReturnType<typeof specOf>[]): Held[] =>
  specs.map((spec) => ({ key: `${spec.id}#1`, spec, unwanted: false }));

describe('reconcile', () => {
  it('ends with exactly the wanted processes, and does not touch those that run already', () => {
    fc.assert(
      fc.property(someSpecs, someSpecs, (have, want) => {
        const { stop, keep, start } = reconcile(held(have), want);
        const after = [...have.filter((spec) => keep.includes(`${spec.id}#1`)), ...start];
        expect(new Set(after)).toEqual(new Set(want));
        expect(new Set([...stop, ...keep]).size).toBe(have.length);
        expect(reconcile(held(want), structuredClone(want))).toMatchObject({ stop: [], start: [] });
      }),
    );
  });

  it('ignores a process that is already being stopped', () => {
    const spec = specOf({ id: 'a' });
    expect(reconcile([{ key: 'a#1', spec, unwanted: true }], [spec])).toEqual({
      stop: [],
      keep: [],
      change: [],
      start: [spec],
    });
  });

  it('keeps and reports a process whose monitoring alone changes', () => {
    const [before] = held([specOf({ id: 'a' })]);
    const spec = specOf({ id: 'a', graceMs: 7, startTimeoutMs: 8 });
    expect(reconcile(before ? [before] : [], [spec])).toEqual({
      stop: [],
      keep: ['a#1'],
      change: [{ key: 'a#1', spec }],
      start: [],
    });
  });
});

describe('a conflict', () => {
  it('is an equal name, a common GPU or a common port; port 0 never conflicts', () => {
    const a = specOf({ id: 'a', gpus: [0, 1], ports: { http: 6100, none: 0 } });
    expect(inTheWay(a, specOf({ id: 'a' }))).toBe(true);
    expect(inTheWay(a, specOf({ id: 'b', gpus: [1] }))).toBe(true);
    expect(inTheWay(a, specOf({ id: 'b', ports: { other: 6100 } }))).toBe(true);
    expect(inTheWay(a, specOf({ id: 'b', gpus: [2], ports: { http: 6101, none: 0 } }))).toBe(false);
  });

  it('is no common GPU of wanted engines that share them', () => {
    const [one, other] = ['a', 'b'].map((id) => specOf({ id, gpus: [0], sharesGpus: 'agg-0' })) as [
      ProcessSpec,
      ProcessSpec,
    ];
    expect(inTheWay(one, other, true)).toBe(false);
    expect(inTheWay(one, other, false), 'of the previous point').toBe(true);
    expect(inTheWay(one, specOf({ id: 'c', gpus: [0] }), true)).toBe(true);
  });
});
