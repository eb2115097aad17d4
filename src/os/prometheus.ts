/**
 * `name{label="value",…} 12.5 1395066363000`: the name, its labels, and the value. A comment begins with #.
 */
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})?[ \t]+(\S+)/;
/** `name`, or `name{label=~"regular expression"}` as PromQL writes it. */
const SELECTOR = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(\w+)=~"(.*)"\})?$/;

interface Selector {
  /** The selector as given; its sum has this key. */
  readonly text: string;
  readonly matches: (labels: string) => boolean;
}

/** Selectors by the name of their metric. */
function selectorsOf(texts: Iterable<string>): Map<string, Selector[]> {
  const byName = new Map<string, Selector[]>();
  for (const text of texts) {
    const [, name, label, expression] = SELECTOR.exec(text) ?? [];
    if (name === undefined) continue;
    const value = label === undefined ? undefined : new RegExp(`[{,]${label}="(?:${expression})"[,}]`);
    const selector = { text, matches: (labels: string) => value?.test(labels) ?? true };
    const list = byName.get(name);
    if (list) list.push(selector);
    else byName.set(name, [selector]);
  }
  return byName;
}

/**
 * For each selector, the sum over all label sets that it matches in a text in Prometheus' format; none without
 * a match.
 */
export function sumsOf(text: string, selectors: ReadonlySet<string>): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const [selector, values] of Object.entries(valuesOf(text, selectors)))
    sums[selector] = values.reduce((sum, value) => sum + value, 0);
  return sums;
}

/**
 * For each selector, the values of all label sets that it matches; none without a match. An engine's /metrics has
 * thousands of lines, so lines of other metrics are skipped before they are parsed.
 */
export function valuesOf(text: string, selectors: ReadonlySet<string>): Record<string, number[]> {
  const values: Record<string, number[]> = {};
  const byName = selectorsOf(selectors);
  for (let from = 0; from < text.length; ) {
    const newline = text.indexOf('\n', from);
    const end = newline < 0 ? text.length : newline;
    let nameEnd = from;
    while (nameEnd < end && text[nameEnd] !== '{' && text[nameEnd] !== ' ' && text[nameEnd] !== '\t')
      nameEnd++;
    const wanted = byName.get(text.slice(from, nameEnd));
    if (wanted) {
      const [, name, labels = '', number] = SAMPLE.exec(text.slice(from, end)) ?? [];
      const value = Number(number);
      if (name !== undefined && Number.isFinite(value))
        for (const selector of wanted)
          if (selector.matches(labels)) values[selector.text] = [...(values[selector.text] ?? []), value];
    }
    from = end + 1;
  }
  return values;
}
