/**
 * The names of a Slurm node list such as `gpu[001-128,130]`, in its order and by the rules of `scontrol show
 * hostnames`: numbers keep their leading zeros, several brackets multiply, and the last bracket varies fastest.
 * @throws RangeError for a text that is no node list
 */
export function expandHostlist(list: string): string[] {
  return splitOutside(list).flatMap((part) => expandOne(part));
}

/** Splits at the commas outside of brackets. */
function splitOutside(list: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let from = 0;
  for (let at = 0; at <= list.length; at++) {
    const char = list[at];
    if (char === '[') depth++;
    else if (char === ']') depth--;
    else if (char === undefined || (char === ',' && depth === 0)) {
      if (at > from) parts.push(list.slice(from, at));
      from = at + 1;
    }
    if (depth < 0 || depth > 1) throw new RangeError(`not a node list: ${list}`);
  }
  if (depth !== 0) throw new RangeError(`not a node list: ${list}`);
  return parts;
}

function expandOne(part: string): string[] {
  const match = /^([^[\]]*)\[([^[\]]+)\](.*)$/.exec(part);
  if (!match) {
    if (/[[\]]/.test(part)) throw new RangeError(`not a node list: ${part}`);
    return [part];
  }
  const [, before = '', ranges = '', after = ''] = match;
  const rest = expandOne(after);
  return ranges
    .split(',')
    .flatMap((range) => numbers(range, part).flatMap((number) => rest.map((tail) => before + number + tail)));
}

function numbers(range: string, part: string): string[] {
  const match = /^(\d+)(?:-(\d+))?$/.exec(range);
  if (!match) throw new RangeError(`not a range of node numbers: ${range} in ${part}`);
  const [, first = '', last = first] = match;
  const [low, high] = [Number(first), Number(last)];
  if (high < low) throw new RangeError(`not a range of node numbers: ${range} in ${part}`);
  return Array.from({ length: high - low + 1 }, (_, step) => String(low + step).padStart(first.length, '0'));
}
