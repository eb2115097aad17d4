import { describe, expect, it } from 'vitest';
import type { Series, TelemetrySamples, TelemetrySeries } from '../../src/messages/events/telemetry.ts';
import { ExpositionReader } from '../../src/os/exposition.ts';
import { exposition, type Sample } from '../../src/reporting/prometheus/exposition.ts';
import { LiveMetrics } from '../../src/reporting/prometheus/live-metrics.ts';

const textOf = (samples: Iterable<Sample>) => [...exposition(samples)].join('');

describe('the text for Prometheus', () => {
  it('has the samples of a family together, below its type', () => {
    const part = (name: string, value: number, labels = {}): Sample => ({
      ...{ name, type: 'histogram', labels, value },
    });
    const text = textOf([
      part('ttft_bucket', 1, { le: '0.1' }),
      { name: 'running', type: 'gauge', labels: { a: '1' }, value: 3, help: 'How many\nrun.' },
      part('ttft_bucket', 2, { le: '+Inf' }),
      part('ttft_sum', 0.5),
      part('ttft_count', 2),
      { name: 'running', type: 'gauge', labels: { a: '2' }, value: '+Inf' },
      { name: 'odd', type: 'unknown', labels: {}, value: 'NaN' },
    ]);
    expect(text).toBe(`# TYPE ttft histogram
ttft_bucket{le="0.1"} 1
ttft_bucket{le="+Inf"} 2
ttft_sum 0.5
ttft_count 2
# HELP running How many\\nrun.
# TYPE running gauge
running{a="1"} 3
running{a="2"} +Inf
# TYPE odd untyped
odd NaN
`);
  });

  it('escapes labels, and leaves out names that the format does not have', () => {
    const text = textOf([
      { name: 'a:b', type: 'gauge', labels: { path: 'a"b\\c\nd', 'not.a.label': 'x', empty: '' }, value: 1 },
      { name: 'a.b', type: 'gauge', labels: {}, value: 1 },
    ]);
    expect(text).toBe('# TYPE a:b gauge\na:b{path="a\\"b\\\\c\\nd"} 1\n');
  });

  it('is read again as it was', () => {
    const samples: Sample[] = [
      { name: 'x_total', type: 'counter', labels: { node: 'n1', text: '\\"' }, value: 5 },
      { name: 'lat_sum', type: 'summary', labels: {}, value: 1.5 },
      { name: 'lat', type: 'summary', labels: { quantile: '0.99' }, value: 0.2 },
    ];
    const found: unknown[] = [];
    const reader = new ExpositionReader({
      begun: (series) => found.push(series) - 1,
      value: (id, value) => Object.assign(found[id] as object, { value }),
      ended: () => undefined,
    });
    reader.read(textOf(samples));
    expect(reader.malformed).toBe(0);
    expect(found).toEqual(samples);
  });
});

describe('the live metrics of a job', () => {
  const series = (id: number, more: Partial<Series> = {}): Series => ({
    ...{ id, name: `m${id}`, type: 'gauge', labels: {}, value: 1 },
    ...more,
  });
  const head = (node: string, incarnation = 'a') => ({ v: 1 as const, node, incarnation, at: 1_000 });
  const described = (node: string, all: Series[], incarnation?: string): TelemetrySeries => ({
    ...head(node, incarnation),
    series: all,
  });
  const batch = (
    node: string,
    samples: TelemetrySamples['samples'],
    incarnation?: string,
  ): TelemetrySamples => ({
    ...{ ...head(node, incarnation), intervalMs: 1_000, seq: 1 },
    samples,
  });
  const made = () => new LiveMetrics('77', (process) => (process === 'decode-0' ? 'decode' : undefined));

  it('say where each series is from, also when a program uses the same labels', () => {
    const live = made();
    live.describe(
      described('n1', [
        series(0, { process: 'decode-0', labels: { node: 'own', model: 'm' } }),
        series(1, { name: 'up' }),
      ]),
    );
    live.sample(batch('n1', [[0, 7]]), 0);
    expect([...live.samples(0)]).toMatchObject([
      {
        ...{ name: 'm0', value: 7 },
        labels: {
          ...{ srtctl_job: '77', node: 'n1', process: 'decode-0', role: 'decode' },
          ...{ exported_node: 'own', model: 'm' },
        },
      },
      { name: 'srtctl_scrape_up', labels: { srtctl_job: '77', node: 'n1' } },
    ]);
  });

  it('are only those whose name is wanted', () => {
    const live = new LiveMetrics(
      '77',
      () => undefined,
      (name) => name === 'm1',
    );
    live.describe(described('n1', [series(0), series(1)]));
    live.sample(batch('n1', [[0, 7, 8]]), 0);
    expect([...live.samples(0)].map(({ name, value }) => [name, value])).toEqual([['m1', 8]]);
  });

  it('lose a series that has ended, all of a silent agent, and those of an agent that was replaced', () => {
    const live = made();
    const names = (now: number) => [...live.samples(now)].map(({ name }) => name);
    live.describe(described('n1', [series(0), series(1)]));
    live.describe(described('n2', [series(2)]));
    live.sample(batch('n1', []), 0);
    live.sample(batch('n2', []), 0);
    expect(names(1)).toEqual(['m0', 'm1', 'm2']);
    live.sample(batch('n1', [[0, null]]), 4_000);
    expect(names(4_001)).toEqual(['m1', 'm2']);
    expect(names(5_001)).toEqual(['m1']);
    live.describe(described('n1', [series(5)], 'b'));
    expect(names(5_001)).toEqual(['m5']);
  });
});
