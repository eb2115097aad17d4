import { describe, expect, it } from 'vitest';
import type { JsonCount } from '../../../src/messages/spec/probe-spec.ts';
import { addressIn, countAll } from '../../../src/node-agent/watch/count.ts';

const instance = (component: string, tcp: string, endpoint = 'generate') => ({
  component,
  endpoint,
  transport: { tcp: `${tcp}/694d/dynamo/${component}/${endpoint}` },
});
const answer = (...instances: object[]): string => JSON.stringify({ status: 'healthy', instances });

const decode: JsonCount = {
  at: ['instances'],
  where: { endpoint: 'generate', component: ['backend', 'tensorrt_llm'] },
  count: 2,
  address: {
    field: ['transport', 'tcp'],
    among: ['10.0.0.1:7700', '10.0.0.2:7700'],
    others: ['10.0.0.3:7700'],
    each: 1,
  },
  label: 'decode workers',
};

describe('counting entries by their addresses', () => {
  it('wants each planned address once', () => {
    const both = answer(
      instance('backend', '10.0.0.1:7700'),
      instance('tensorrt_llm', '10.0.0.2:7700'),
      instance('backend', '10.0.0.2:7700', 'worker_kv_query_source_1'),
    );
    expect(countAll(both, [decode])).toEqual({ ok: true, detail: '2 of 2 decode workers' });
    expect(countAll(answer(instance('backend', '10.0.0.1:7700')), [decode])).toEqual({
      ok: false,
      detail: '1 of 2 decode workers (without 10.0.0.2:7700)',
    });
  });

  it('names a stranger, and no planned worker of another kind', () => {
    const strange = answer(
      instance('backend', '10.0.0.1:7700'),
      instance('backend', '10.0.0.2:7700'),
      instance('backend', '10.0.0.9:9999'),
    );
    expect(countAll(strange, [decode])).toEqual({
      ok: false,
      detail: '2 of 2 decode workers; a stranger is registered: 10.0.0.9:9999',
    });
    const other = answer(
      instance('backend', '10.0.0.1:7700'),
      instance('backend', '10.0.0.2:7700'),
      instance('backend', '10.0.0.3:7700'),
    );
    expect(countAll(other, [decode]).ok).toBe(true);
  });

  it('does not accept a stranger in the place of a worker', () => {
    const replaced = answer(instance('backend', '10.0.0.1:7700'), instance('backend', '10.0.0.9:1'));
    expect(countAll(replaced, [decode]).ok).toBe(false);
  });

  it('refuses the entry that an ended worker left beside its successor', () => {
    const twice = answer(
      instance('backend', '10.0.0.1:7700'),
      instance('backend', '10.0.0.1:7700'),
      instance('backend', '10.0.0.2:7700'),
    );
    expect(countAll(twice, [decode])).toEqual({
      ok: false,
      detail: '2 of 2 decode workers; 10.0.0.1:7700 is registered 2 times instead of 1',
    });
  });

  it('accepts fewer workers when a run can do without the others, and never more', () => {
    const one = answer(instance('backend', '10.0.0.1:7700'));
    expect(countAll(one, [{ ...decode, least: 1 }]).ok).toBe(true);
    expect(countAll(answer(), [{ ...decode, least: 1 }]).ok).toBe(false);
    const byNumber: JsonCount = { at: ['instances'], where: {}, count: 1, label: 'workers' };
    expect(
      countAll(answer(instance('backend', '10.0.0.1:7700'), instance('backend', '10.0.0.2:7700')), [
        byNumber,
      ]),
    ).toEqual({ ok: false, detail: '2 of 1 workers; 1 too many workers are registered' });
  });

  it('counts entries without an address, which requests over NATS have', () => {
    const { address: _, ...plain } = instance('backend', '') as Record<string, unknown>;
    const overNats = { ...plain, transport: { nats_tcp: 'dynamo_backend.generate-694d' } };
    expect(countAll(answer(overNats, overNats), [decode])).toEqual({
      ok: true,
      detail: '2 of 2 decode workers',
    });
    expect(countAll(answer(overNats, overNats, overNats), [decode]).ok).toBe(false);
  });

  it('counts several workers of one process by its address', () => {
    const two: JsonCount = {
      ...decode,
      count: 1,
      address: { field: ['transport', 'tcp'], among: ['10.0.0.1:7700'], each: 2 },
    };
    const first = instance('backend', '10.0.0.1:7700');
    expect(countAll(answer(first), [two]).ok).toBe(false);
    expect(countAll(answer(first, first), [two]).ok).toBe(true);
    expect(countAll(answer(first, first, first), [two]).ok).toBe(false);
  });

  it('parses addresses as routers write them', () => {
    expect(
      ['http://10.0.0.1:6100', 'http://10.0.0.1:6100@7', 'grpc://10.0.0.1:6100/', '10.0.0.1:6100/694d/x'].map(
        addressIn,
      ),
    ).toEqual(Array(4).fill('10.0.0.1:6100'));
  });

  it('reports an answer that is not JSON', () => {
    expect(countAll('<html>', [decode])).toEqual({ ok: false, detail: 'the answer is not JSON' });
  });
});
