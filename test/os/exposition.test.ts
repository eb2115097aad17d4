import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ExpositionReader, type MetricSeries } from '../../src/os/exposition.ts';

/** Reads texts as an agent does, and keeps what they say. */
function reader() {
  const series: MetricSeries[] = [];
  const values = new Map<number, number>();
  let told = 0;
  const read = new ExpositionReader({
    begun: (each) => series.push(each) - 1,
    value: (id, value) => {
      told++;
      values.set(id, value);
    },
    ended: (id) => values.delete(id),
  });
  return {
    series,
    read: (text: string) => read.read(text),
    end: () => read.end(),
    malformed: () => read.malformed,
    /** How many values it received since the last call. */
    told: () => {
      const count = told;
      told = 0;
      return count;
    },
    /** Current values, by name and labels as text. */
    now: () =>
      Object.fromEntries(
        [...values].map(([id, value]) => {
          const { name, labels } = series[id] as MetricSeries;
          const parts = Object.entries(labels).map(([label, text]) => `${label}=${text}`);
          return [[name, ...parts].join(' '), value];
        }),
      ),
  };
}

describe('a text of metrics', () => {
  it('has samples with labels, escapes, special values, time stamps and exemplars', () => {
    const text = reader();
    text.read(
      [
        '# HELP http_requests_total Requests.',
        '# TYPE http_requests_total counter',
        'http_requests_total{method="post",code="200"} 1027 1395066363000',
        'http_requests_total { method = "get" , code = "200" , } 3',
        'path{p="C:\\\\DIR\\\\a b",e="line\\n\\"quoted\\" {x} # y"} 1.5e3',
        'plain 12.47',
        'nan NaN',
        'most +Inf',
        'least -Inf',
        'exemplar_bucket{le="0.1"} 8 # {trace_id="KOO5S4vxi0o"} 0.67',
        '{"utf.8 name","a label"="b"} 5\r',
        '# EOF',
      ].join('\n'),
    );
    expect(text.now()).toEqual({
      'http_requests_total method=post code=200': 1027,
      'http_requests_total method=get code=200': 3,
      'path p=C:\\DIR\\a b e=line\n"quoted" {x} # y': 1500,
      plain: 12.47,
      nan: Number.NaN,
      most: Number.POSITIVE_INFINITY,
      least: Number.NEGATIVE_INFINITY,
      'exemplar_bucket le=0.1': 8,
      'utf.8 name a label=b': 5,
    });
    expect(text.malformed()).toBe(0);
  });

  it('gives the type of a family to all of its samples', () => {
    const text = reader();
    text.read(
      [
        '# TYPE ttft histogram',
        'ttft_bucket{le="+Inf"} 1',
        'ttft_sum 2',
        'ttft_count 1',
        '# TYPE tokens counter',
        'tokens_total 5',
        '# TYPE odd stateset',
        'odd 1',
        'untyped 1',
      ].join('\n'),
    );
    expect(text.series.map(({ name, type }) => `${name} ${type}`)).toEqual([
      'ttft_bucket histogram',
      'ttft_sum histogram',
      'ttft_count histogram',
      'tokens_total counter',
      'odd unknown',
      'untyped unknown',
    ]);
  });

  it('is read again by what has changed, whatever the order of its lines', () => {
    const text = reader();
    text.read('# TYPE a gauge\na 1\nb{x="1"} 2\nbb 3\n');
    expect(text.told()).toBe(3);
    text.read('# TYPE a gauge\na 1\nb{x="1"} 2\nbb 4\n');
    expect(text.told()).toBe(1);
    text.read('bb 4\nnew 7\nb{x="1"} 2\na 1');
    expect(text.told()).toBe(1);
    expect(text.now()).toEqual({ a: 1, 'b x=1': 2, bb: 4, new: 7 });
    text.read('bb 4\na 10\n');
    expect(text.now()).toEqual({ a: 10, bb: 4 });
    text.end();
    expect(text.now()).toEqual({});
    text.read('a 10\n');
    expect(text.now()).toEqual({ a: 10 });
  });

  it('may have malformed lines, which are counted and left out', () => {
    const text = reader();
    text.read('a 1\n<html>\nb\nc{x=1} 2\nd{x="1" 3\ne{x="1"} three\n{} 1\n\n \nf 2\n');
    expect(text.now()).toEqual({ a: 1, f: 2 });
    expect(text.malformed()).toBe(6);
  });

  it('of any content never throws', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme' }), { maxLength: 4 }), (texts) => {
        const text = reader();
        for (const each of texts) text.read(each);
      }),
      { numRuns: 300 },
    );
  });

  it('of any samples in any order is read as it is, again and again', () => {
    const label = fc.constantFrom('le', 'model_name', 'x');
    const labels = fc.dictionary(label, fc.string({ unit: 'binary', maxLength: 6 }), {
      noNullPrototype: true,
    });
    const sample = fc.record({
      name: fc.constantFrom('a', 'ab', 'a:b', 'a_bucket', 'b'),
      labels,
      value: fc.oneof(
        fc.integer({ min: -5, max: 5 }),
        fc.double().map((value) => value + 0),
      ),
    });
    const keyOf = ({ name, labels: own }: { name: string; labels: Record<string, string> }) =>
      [name, ...Object.entries(own).map(([each, text]) => `${each}=${text}`)].join(' ');
    const written = (text: string) =>
      text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
    const number = (value: number) =>
      Number.isFinite(value) || Number.isNaN(value) ? String(value) : value > 0 ? '+Inf' : '-Inf';
    const texts = fc.array(fc.uniqueArray(sample, { selector: keyOf, maxLength: 8 }), { maxLength: 5 });
    fc.assert(
      fc.property(texts, (all) => {
        const text = reader();
        for (const samples of all) {
          text.read(
            samples
              .map(({ name, labels: own, value }) => {
                const inside = Object.entries(own).map(([each, is]) => `${each}="${written(is)}"`);
                return `${name}${inside.length > 0 ? `{${inside.join(',')}}` : ''} ${number(value)}\n`;
              })
              .join(''),
          );
          expect(text.now()).toEqual(Object.fromEntries(samples.map((each) => [keyOf(each), each.value])));
        }
        expect(text.malformed()).toBe(0);
      }),
      { numRuns: 60 },
    );
  });
});
