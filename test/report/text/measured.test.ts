import { expect, it } from 'vitest';
import { measuredTable } from '../../../src/report/text/measured.ts';
import { OLD_VERSIONS, oldJob, reportOf } from '../sources.ts';

const POWER = { gpus: [], nodes: [], meanW: 1_400, joules: 14_000, joulesPerRequest: 700 };

it('the table of how results were measured has their power and energy where GPUs state them', () => {
  const source = oldJob(OLD_VERSIONS.at(-1) ?? '', 'done');
  const before = measuredTable(reportOf(source))?.head ?? [];
  expect(before.filter((title) => /power|J\//.test(title))).toEqual([]);
  const points = source.points.map((point) => ({
    ...point,
    rows: point.rows.map((row) =>
      row.result
        ? {
            ...row,
            result: {
              ...row.result,
              power: { ...POWER, joulesPerOutputToken: 5.5, outputTokensPerJoule: 0.18 },
            },
          }
        : row,
    ),
  }));
  const { head = [], rows = [] } = measuredTable(reportOf({ ...source, points })) ?? {};
  const titles = ['GPU power (W)', 'J/output token', 'J/request', 'output tok/s/W'];
  expect(titles.map((title) => rows[0]?.[head.indexOf(title)])).toEqual(['1,400', '5.5', '700', '0.18']);
});
