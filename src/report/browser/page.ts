import type { EChartsOption } from 'echarts';
import type { Chart, Table } from '../charts/chart.ts';
import { goodputChart } from '../charts/goodput.ts';
import { chartsOf } from '../charts/index.ts';
import { DARK, LIGHT, type Theme } from '../charts/theme.ts';
import type { Slo } from '../model/goodput.ts';
import type { Report } from '../model/report.ts';
import { init } from './library.ts';

type Drawn = ReturnType<typeof init>;

/** Width of a chart on A4 paper in pixels, with the margins of a browser and the page. */
const PRINTED = 640;

/** Draws the charts of the page, again for each theme, width and limit. */
export class Page {
  readonly #report: Report;
  readonly #drawn = new Map<string, { chart: Chart; element: HTMLElement; drawn: Drawn }>();
  #slo: Slo;
  #isPrinting = false;

  constructor(report: Report, slo: Slo) {
    this.#report = report;
    this.#slo = slo;
  }

  start(): void {
    const charts = new Map(chartsOf(this.#report, this.#slo).map((chart) => [chart.id, chart]));
    const watch = new ResizeObserver((entries) => {
      for (const { target } of entries)
        if (target instanceof HTMLElement) this.#draw(target.dataset.chart ?? '');
    });
    for (const element of document.querySelectorAll<HTMLElement>('[data-chart]')) {
      const chart = charts.get(element.dataset.chart ?? '');
      if (!chart) continue;
      this.#drawn.set(chart.id, { chart, element, drawn: init(element, null, { renderer: 'svg' }) });
      watch.observe(element);
    }
    this.#switchTheme();
    this.#moveLimits();
    addEventListener('beforeprint', () => this.#print(true));
    addEventListener('afterprint', () => this.#print(false));
  }

  get #theme(): Theme {
    if (this.#isPrinting) return LIGHT;
    const chosen = document.documentElement.dataset.theme;
    const isDark = chosen ? chosen === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
    return isDark ? DARK : LIGHT;
  }

  #drawAll(): void {
    for (const id of this.#drawn.keys()) this.#draw(id);
  }

  #draw(id: string): void {
    const known = this.#drawn.get(id);
    if (!known) return;
    const { chart, element, drawn } = known;
    const width = Math.min(element.clientWidth, this.#isPrinting ? PRINTED : Infinity);
    if (width === 0) return;
    drawn.resize({ width, height: chart.height });
    drawn.setOption(withTips(chart.option(this.#theme, width)), { notMerge: true });
  }

  #switchTheme(): void {
    const button = document.getElementById('theme');
    const label = (): void => {
      if (button) button.textContent = this.#theme.name === 'dark' ? 'Light' : 'Dark';
    };
    label();
    button?.addEventListener('click', () => {
      document.documentElement.dataset.theme = this.#theme.name === 'dark' ? 'light' : 'dark';
      label();
      this.#drawAll();
    });
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      label();
      this.#drawAll();
    });
  }

  #print(isPrinting: boolean): void {
    this.#isPrinting = isPrinting;
    this.#drawAll();
  }

  #moveLimits(): void {
    for (const input of document.querySelectorAll<HTMLInputElement>('[data-limit]')) {
      const key = input.dataset.limit as keyof Slo;
      const most = Number(input.dataset.most);
      const given = this.#slo[key];
      if (given !== undefined) input.value = String(positionOf(given, most));
      input.addEventListener('input', () => {
        const { [key]: _, ...others } = this.#slo;
        const position = Number(input.value);
        const limit = position >= POSITIONS ? undefined : limitAt(position, most);
        this.#slo = limit === undefined ? others : { ...others, [key]: limit };
        const shown = document.querySelector(`[data-slo="${key}"]`);
        if (shown) shown.textContent = limit === undefined ? 'no limit' : `${limit} ms`;
        this.#countAgain();
      });
    }
  }

  #countAgain(): void {
    const known = this.#drawn.get('goodput');
    const chart = goodputChart(this.#report, this.#slo);
    if (!known || !chart) return;
    known.chart = chart;
    const about = known.element.closest('section')?.querySelector('.about');
    if (about) about.textContent = chart.about;
    const body = document.querySelector('[data-table="goodput"] tbody');
    if (body) fill(body, chart.table);
    this.#draw('goodput');
  }
}

const POSITIONS = 1_000;

/** Limits grow by the same factor with each step of a slider, from a thousandth of the slowest request on. */
const limitAt = (position: number, most: number): number =>
  Number((most * 10 ** ((3 * (position - POSITIONS)) / POSITIONS)).toPrecision(3));
const positionOf = (limit: number, most: number): number =>
  Math.min(POSITIONS - 1, Math.max(0, Math.round(POSITIONS + (POSITIONS * Math.log10(limit / most)) / 3)));

/** Only text is set, because names come from recipes. */
function fill(body: Element, { rows }: Table): void {
  const classes = [...(body.querySelector('tr')?.children ?? [])].map(({ className }) => className);
  body.replaceChildren(
    ...rows.map((row) => {
      const line = document.createElement('tr');
      line.append(
        ...row.map((text, at) => {
          const cell = document.createElement('td');
          cell.className = classes[at] ?? '';
          cell.textContent = text;
          return cell;
        }),
      );
      return line;
    }),
  );
}

/** The lines of an item's `tip`, as elements that have nothing but text. */
function withTips(option: EChartsOption): EChartsOption {
  const formatter = (params: unknown): HTMLElement[] | string => {
    const { data } = params as { data?: { tip?: readonly string[] } };
    if (!data?.tip) return '';
    return data.tip.map((text, at) => {
      const line = document.createElement('div');
      line.textContent = text;
      line.style.whiteSpace = 'normal';
      line.style.maxWidth = '320px';
      if (at === 0) line.style.fontWeight = '600';
      return line;
    });
  };
  return { ...option, tooltip: { ...option.tooltip, formatter } as NonNullable<EChartsOption['tooltip']> };
}
