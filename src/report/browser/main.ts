import type { Slo } from '../model/goodput.ts';
import type { Report } from '../model/report.ts';
import { withVisibleTexts } from '../model/visible.ts';
import { renderSvg } from './library.ts';
import { Page } from './page.ts';

/** The page's data, which page/page.ts writes. */
interface PageData {
  readonly report: Report;
  readonly slo: Slo;
}

// Without a page this file only draws, for `--charts`.
if (typeof document !== 'undefined') {
  const text = document.getElementById('report-data')?.textContent;
  if (text) {
    const { report, slo } = JSON.parse(text) as PageData;
    new Page(withVisibleTexts(report), slo).start();
  }
}

export { renderSvg };
