import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chartsOf } from '../../../src/report/charts/index.ts';
import { DARK, LIGHT } from '../../../src/report/charts/theme.ts';
import { comparisonsOf } from '../../../src/report/compare/compare.ts';
import type { Report, Source } from '../../../src/report/model/report.ts';
import { withVisibleTexts } from '../../../src/report/model/visible.ts';
import { escapeHtml, html, jsonInScript } from '../../../src/report/page/html.ts';
import { pageOf } from '../../../src/report/page/page.ts';
import { linesOf } from '../../../src/report/text/lines.ts';
import { markdownOf } from '../../../src/report/text/markdown.ts';
import { OLD_VERSIONS, oldJob, reportOf, row, source } from '../sources.ts';

const SCRIPT = 'console.log(1)';
const dataIn = (page: string): { report: Report } =>
  JSON.parse(/<script type="application\/json" id="report-data">(.*?)<\/script>/s.exec(page)?.[1] ?? '');

const HOSTILE = '</script><img src=x onerror=alert(1)>"\'`\u2028\u202e{{}}';

/** A job in which every text from outside is hostile. */
function hostile(): Source {
  const one = oldJob('2026-11-29-de5351b', 'failed');
  const cause = { summary: HOSTILE, node: HOSTILE, error: HOSTILE, advice: HOSTILE, logTail: [HOSTILE] };
  return {
    ...one,
    ...{
      id: HOSTILE,
      name: HOSTILE,
      state: HOSTILE,
      tool: HOSTILE,
      tags: [HOSTILE],
      warnings: [HOSTILE],
      cause,
    },
    environment: [[HOSTILE, HOSTILE]],
    recipe: { [HOSTILE]: HOSTILE },
    varied: [HOSTILE],
    points: [
      {
        ...(one.points[0] ?? (undefined as never)),
        ...{
          name: HOSTILE,
          params: { [HOSTILE]: HOSTILE },
          reason: HOSTILE,
          cause,
          own: { [HOSTILE]: HOSTILE },
        },
        ...{ notDone: [HOSTILE], rows: [row({ valid: false, reasons: [HOSTILE] })] },
      },
    ],
    timeline: one.timeline && {
      ...one.timeline,
      lanes: one.timeline.lanes.map((lane) => ({ ...lane, name: HOSTILE, node: HOSTILE })),
    },
  };
}

describe('the page', () => {
  it.each(OLD_VERSIONS)(
    'of a job of %s has the figures of result.json, in its tables and as JSON',
    (version) => {
      const one = oldJob(version, 'done');
      const page = pageOf(reportOf(one), SCRIPT);
      const [first] = dataIn(page).report.sources[0]?.points[0]?.rows ?? [];
      expect({ ...first, ...first?.result }).toMatchObject({ ...one.points[0]?.rows[0]?.result });
      expect(page).toContain(
        `<td class="number">${Number(first?.outputThroughput?.toPrecision(4)).toLocaleString('en-US')}`,
      );
      expect(page.match(/data-chart="/g)?.length).toBeGreaterThan(8);
      expect(page.match(/data-table="/g)?.length).toBe(page.match(/data-chart="/g)?.length);
    },
  );

  it('runs its own script alone, and loads nothing', () => {
    const page = pageOf(reportOf(oldJob('2026-11-29-de5351b', 'done')), SCRIPT);
    const policy = /Content-Security-Policy" content="([^"]*)"/.exec(page)?.[1] ?? '';
    const hash = createHash('sha256').update(SCRIPT).digest('base64');
    expect(policy.replaceAll('&#39;', "'").split('; ')).toEqual(
      expect.arrayContaining(["default-src 'none'", `script-src 'sha256-${hash}'`, "base-uri 'none'"]),
    );
    expect(/(src|href)="(?!#)/.test(page)).toBe(false);
    expect(/ on\w+="/.test(page)).toBe(false);
  });

  it('shows hostile names as text', () => {
    const bad = hostile();
    const report = {
      ...reportOf(bad, { ...bad, id: 'b' }),
      comparisons: comparisonsOf([bad, { ...bad, id: 'b' }]),
    };
    const page = pageOf(report, SCRIPT);
    expect(page.includes('<img')).toBe(false);
    expect(page.includes('\u202e')).toBe(false);
    expect(page.match(/<\/script>/g)).toHaveLength(2);
    expect(dataIn(page).report.sources[0]?.name).toBe(HOSTILE);
    expect(/(?<!\\)<|\u2028/.test(markdownOf(report))).toBe(false);
  });

  it('shows characters that turn the direction of text, in values and keys', () => {
    expect(withVisibleTexts({ 'a\u202e': ['b\u2066', 1, null] })).toEqual({
      'a\\u202e': ['b\\u2066', 1, null],
    });
  });

  it('escapes whatever a value is, in text and in JSON', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(escapeHtml(text)).not.toMatch(/[<>"'`]/);
        expect(html`<b title="${text}">${text}</b>`.text).toMatch(/^<b title="[^"<>]*">[^<>]*<\/b>$/s);
        const json = jsonInScript({ text }).text;
        expect(json).not.toMatch(/[<>&\u2028\u2029]/);
        expect(JSON.parse(json)).toEqual({ text });
      }),
    );
  });
});

describe('charts', () => {
  const report = reportOf(
    source('a', [
      [
        row({ concurrency: 4, outputPerUser: 90, outputPerGpu: 10 }),
        row({ outputPerUser: 50, outputPerGpu: 90 }),
      ],
    ]),
    source('b', [
      [row({ outputPerUser: 99, outputPerGpu: 99, valid: false, reasons: ['3 requests failed'] })],
    ]),
  );
  const chart = (id: string) => chartsOf(report, {}).find((one) => one.id === id);

  it('keep what is not valid off the frontier, and mark it', () => {
    const rows = chart('pareto')?.table.rows ?? [];
    expect(rows.map((cells) => [cells[0], cells.at(-2), cells.at(-1)])).toEqual([
      ['a: c=4', 'yes', 'yes'],
      ['a: c=8', 'yes', 'yes'],
      ['b: c=8', 'no: 3 requests failed', ''],
    ]);
    const option = chart('pareto')?.option(LIGHT, 900);
    const [line, , b] = (option?.series ?? []) as {
      data: { value: number[]; itemStyle?: { borderColor: string } }[];
    }[];
    expect(line?.data).toEqual([
      [50, 90],
      [90, 10],
    ]);
    expect(b?.data[0]).toMatchObject({
      value: [99, 99],
      itemStyle: { color: 'transparent', borderColor: LIGHT.bad },
    });
  });

  it('have ids of their own, a table, and an option for each theme and width', () => {
    const all = chartsOf(reportOf(oldJob('2026-11-29-de5351b', 'done'), ...report.sources), {});
    expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
    for (const one of all) {
      expect(one.table.rows.length).toBeGreaterThan(0);
      for (const cells of one.table.rows) expect(cells).toHaveLength(one.table.head.length);
      for (const theme of [LIGHT, DARK])
        for (const width of [360, 1200])
          expect(JSON.stringify(one.option(theme, width))).not.toMatch(/NaN|Infinity/);
    }
  });
});

describe('lines', () => {
  it('have a row for each result, and for each point without one', () => {
    const empty = source('a', [[row()], []]);
    expect(linesOf(reportOf(empty))).toMatchObject([
      { job: 'a', ordinal: 0, concurrency: 8, outputPerGpu: 100 },
      { job: 'a', ordinal: 1, status: 'done' },
    ]);
  });
});
