/** `name{label="value",…} 12.5 1395066363000`: the name, and the value behind the labels. A comment begins with #. */
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{.*\})?[ \t]+(\S+)/;

/**
 * The sums over all label sets of those of `names` that are in a text in Prometheus' format. An engine's /metrics has
 * thousands of lines, so what is not asked for is passed over before it is read.
 */
export function sumsOf(text: string, names: ReadonlySet<string>): Record<string, number> {
  const sums: Record<string, number> = {};
  for (let from = 0; from < text.length; ) {
    const newline = text.indexOf('\n', from);
    const end = newline < 0 ? text.length : newline;
    let nameEnd = from;
    while (nameEnd < end && text[nameEnd] !== '{' && text[nameEnd] !== ' ' && text[nameEnd] !== '\t')
      nameEnd++;
    if (names.has(text.slice(from, nameEnd))) {
      const [, name, number] = SAMPLE.exec(text.slice(from, end)) ?? [];
      const value = Number(number);
      if (name !== undefined && Number.isFinite(value)) sums[name] = (sums[name] ?? 0) + value;
    }
    from = end + 1;
  }
  return sums;
}
