import { readFileSync } from 'node:fs';

const LISTENING = '0A';
/** Addresses .0 and .1 of a block are not nodes, because other programs listen there too. */
const FIRST_HOST = 2;

/** Blocks 127.<block>.0.0/16 in which a process listens, by Linux's table of TCP sockets (proc(5), /proc/net/tcp). */
export function blocksInUse(table = readTable()): Set<number> {
  const used = new Set<number>();
  for (const line of table.split('\n').slice(1)) {
    const [, local = '', , state] = line.trim().split(/\s+/);
    // The address is a number in the machine's own byte order: 0200007F is 127.0.0.2.
    const bytes =
      local
        .split(':')[0]
        ?.match(/../g)
        ?.map((hex) => Number.parseInt(hex, 16)) ?? [];
    const [d = 0, c = 0, b = 0, a = 0] = bytes;
    if (a === 127 && state === LISTENING && c * 256 + d >= FIRST_HOST) used.add(b);
  }
  return used;
}

function readTable(): string {
  try {
    return readFileSync('/proc/net/tcp', 'latin1');
  } catch {
    return '';
  }
}
