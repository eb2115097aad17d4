import type { SampleValue, SeriesType } from '../../messages/events/telemetry.ts';

/** A value of a series, as Prometheus scrapes it. */
export interface Sample {
  readonly name: string;
  readonly type: SeriesType;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: SampleValue;
  /** What it is, for the line `# HELP`. */
  readonly help?: string;
}

/** Names in Prometheus' text format 0.0.4; newer formats allow others, which old scrapers refuse with all the rest. */
const NAME = /^[A-Za-z_:][\w:]*$/;
const LABEL = /^[A-Za-z_]\w*$/;

/** Suffixes of the parts of a family. */
const PARTS: Readonly<Partial<Record<SeriesType, RegExp>>> = {
  histogram: /_(?:bucket|sum|count)$/,
  summary: /_(?:sum|count)$/,
};

interface Family {
  readonly type: SeriesType;
  readonly help: string | undefined;
  readonly lines: string[];
}

/**
 * The text of samples in Prometheus' exposition format 0.0.4, a piece for each family: all samples of a family must
 * follow one another. Samples whose name the format does not have are left out.
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 */
export function* exposition(samples: Iterable<Sample>): Generator<string> {
  const families = new Map<string, Family>();
  for (const { name, type, labels, value, help } of samples) {
    if (!NAME.test(name) || value === null) continue;
    const part = PARTS[type];
    // `_created` of OpenMetrics is a series of its own here.
    const isPart = part === undefined || part.test(name) || (type === 'summary' && 'quantile' in labels);
    const base = part === undefined || !isPart ? name : name.replace(part, '');
    const own = isPart && !name.endsWith('_created') ? type : 'unknown';
    // Two programs may mean different things by one name, and a family has one type.
    const key = families.has(base) && families.get(base)?.type !== own && own === 'unknown' ? name : base;
    let family = families.get(key);
    if (!family) {
      family = { type: own, help, lines: [] };
      families.set(key, family);
    }
    family.lines.push(`${name}${labelsText(labels)} ${value}\n`);
  }
  for (const [name, { type, help, lines }] of families) {
    const head = help === undefined ? '' : `# HELP ${name} ${escapedHelp(help)}\n`;
    yield `${head}# TYPE ${name} ${type === 'unknown' ? 'untyped' : type}\n${lines.join('')}`;
  }
}

/** Labels of a series are the same object from scrape to scrape. */
const texts = new WeakMap<object, string>();

function labelsText(labels: Readonly<Record<string, string>>): string {
  let text = texts.get(labels);
  if (text === undefined) {
    const pairs = Object.entries(labels)
      .filter(([name, value]) => LABEL.test(name) && value !== '')
      .map(([name, value]) => `${name}="${escaped(value)}"`);
    text = pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
    texts.set(labels, text);
  }
  return text;
}

const escaped = (text: string): string =>
  text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"');
const escapedHelp = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
