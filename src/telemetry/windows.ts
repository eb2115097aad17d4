import { mkdir, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { parquetWriteFile } from 'hyparquet-writer';
import type { PointResult } from '../messages/job-directory/result.ts';

/** A point, or one of its measured windows. Times in ms since 1970. */
interface Span {
  readonly kind: 'point' | 'window';
  readonly from: number;
  readonly to: number;
  readonly ordinal: number;
  readonly point: string;
  readonly attempt: number;
  readonly status: string;
  /** Of a window; null: a point. */
  readonly concurrency: number | null;
}

const spansOf = ({
  ordinal,
  name,
  attempt = 1,
  status,
  startedAt,
  finishedAt,
  benchmark,
}: PointResult): Span[] => {
  const shared = { ordinal, point: name, attempt, status };
  const windows = (benchmark?.serving ?? []).flatMap(({ window, concurrency }): Span[] =>
    window ? [{ kind: 'window', ...window, ...shared, concurrency }] : [],
  );
  const [from, to] = [Date.parse(startedAt), Date.parse(finishedAt)];
  return [{ kind: 'point', from, to, ...shared, concurrency: null }, ...windows];
};

/**
 * Writes the times of all points and of their measured windows as Parquet, to be joined with the samples. Writes nothing
 * without results.
 */
export async function writeWindows(path: string, results: readonly PointResult[]): Promise<void> {
  const spans = results.flatMap(spansOf);
  if (spans.length === 0) return;
  await mkdir(dirname(path), { recursive: true });
  const column = <T>(name: string, of: (span: Span) => T) => ({ name, data: spans.map(of) });
  const partial = `${path}.partial`;
  parquetWriteFile({
    filename: partial,
    createdBy: 'srtctl',
    columnData: [
      { ...column('kind', ({ kind }) => kind), type: 'STRING' },
      { ...column('begins', ({ from }) => new Date(from)), type: 'TIMESTAMP' },
      { ...column('ends', ({ to }) => new Date(to)), type: 'TIMESTAMP' },
      { ...column('ordinal', ({ ordinal }) => ordinal), type: 'INT32' },
      { ...column('point', ({ point }) => point), type: 'STRING' },
      { ...column('attempt', ({ attempt }) => attempt), type: 'INT32' },
      { ...column('status', ({ status }) => status), type: 'STRING' },
      { ...column('concurrency', ({ concurrency }) => concurrency), type: 'INT32' },
    ],
  });
  await rename(partial, path);
}
