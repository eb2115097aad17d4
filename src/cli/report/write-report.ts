import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { SrtctlError } from '../../os/errors.ts';
import { cannotWrite, makeNamedDirectory } from '../../os/files/make-directories.ts';
import type { Chart } from '../../report/charts/chart.ts';
import { chartsOf } from '../../report/charts/index.ts';
import { LIGHT, type Theme } from '../../report/charts/theme.ts';
import type { Report } from '../../report/model/report.ts';
import { startSlo } from '../../report/model/slo-range.ts';
import { withVisibleTexts } from '../../report/model/visible.ts';
import { pageOf } from '../../report/page/page.ts';
import { columnsOf } from '../../report/text/columns.ts';
import { linesOf } from '../../report/text/lines.ts';
import { distDirectory } from '../submit/local-job.ts';

/** The page's program with the library of charts; scripts/bundle.mjs makes it of src/report/browser. */
const scriptFile = (): string => join(distDirectory(), 'report.js');

/** Width of a drawn chart in pixels. */
const WIDTH = 960;

async function write(path: string, text: string): Promise<void> {
  await writeFileAtomic(path, text, { mode: 0o644 }).catch((error: unknown) => {
    throw cannotWrite(path, error);
  });
}

/**
 * Writes the page, and returns its path.
 * @throws SrtctlError when it cannot be written
 */
export async function writePage(report: Report, told: string): Promise<string> {
  const path = resolve(told);
  makeNamedDirectory(dirname(path));
  await write(path, pageOf(report, await readFile(scriptFile(), 'utf8')));
  return path;
}

/**
 * Writes the figures as Parquet, a row for each line of the CSV, and returns the path.
 * @throws SrtctlError when it cannot be written
 */
export async function writeParquet(report: Report, told: string): Promise<string> {
  const { parquetWriteBuffer } = await import('hyparquet-writer');
  const path = resolve(told);
  makeNamedDirectory(dirname(path));
  const columnData = columnsOf(linesOf(report)).map(({ data, ...column }) => ({
    ...column,
    data: [...data],
  }));
  const bytes = parquetWriteBuffer({ columnData, createdBy: 'srtctl' });
  await writeFileAtomic(path, Buffer.from(bytes), { mode: 0o644 }).catch((error: unknown) => {
    throw cannotWrite(path, error);
  });
  return path;
}

/** What dist/report.js exports. */
interface Library {
  renderSvg(chart: Chart, theme: Theme, width: number): string;
}

/**
 * Writes each chart as an SVG file, and returns their paths.
 * @throws SrtctlError when the report has no data for any chart
 */
export async function writeCharts(report: Report, told: string): Promise<string[]> {
  const charts = chartsOf(withVisibleTexts(report), startSlo(report).slo);
  if (charts.length === 0)
    throw new SrtctlError('no-figures', 'there is nothing to draw: no figures and no events', {
      hint: 'srtctl status JOB shows how far the job came',
    });
  const { renderSvg } = createRequire(join(distDirectory(), 'require.cjs'))(scriptFile()) as Library;
  const directory = resolve(told);
  makeNamedDirectory(directory);
  const paths: string[] = [];
  for (const chart of charts) {
    const path = join(directory, `${chart.id}.svg`);
    await write(path, renderSvg(chart, LIGHT, WIDTH));
    paths.push(path);
  }
  return paths;
}
