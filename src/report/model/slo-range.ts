import type { Slo } from './goodput.ts';
import type { Report } from './report.ts';

/** Where the sliders of the page begin and end, in ms. */
export interface SloRange {
  readonly slo: Slo;
  readonly most: Readonly<Record<keyof Slo, number>>;
}

/** The limits of the recipe's goodput, where a result has some, and the slowest requests of the records. */
export function startSlo({ sources }: Pick<Report, 'sources'>): SloRange {
  const rows = sources.flatMap(({ points }) => points.flatMap((point) => point.rows));
  const slowest = (key: 'ttftMs' | 'tpotMs' | 'e2elMs'): number =>
    rows.reduce(
      (most, { requestsFile }) =>
        (requestsFile?.[key] ?? []).reduce<number>((larger, value) => Math.max(larger, value ?? 0), most),
      1,
    );
  const stated = rows.map(({ result }) => result?.goodput?.slo).find((slo) => slo !== undefined);
  return {
    slo: Object.fromEntries(Object.entries(stated ?? {}).filter(([, limit]) => limit !== undefined)),
    most: { ttftMs: slowest('ttftMs'), tpotMs: slowest('tpotMs'), e2elMs: slowest('e2elMs') },
  };
}
