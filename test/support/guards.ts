import { readdirSync, readFileSync } from 'node:fs';

/** Pids of the guards that are told of `mark`. */
export function guardsOf(mark: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const [, script = '', told] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
        return script.endsWith('guard.sh') && told === mark;
      } catch {
        return false;
      }
    })
    .map(Number);
}
