import { endOf } from '../os/log-tail.ts';
import { parseLine } from './log-line.ts';
import { isAccess, isBeat, withoutColours } from './noise.ts';

/** This many candidate lines are enough to find what ended a program. */
const ENOUGH_LINES = 600;
/**
 * How much of a log's end is read at first, and at most, bytes. A router writes 3 KB for each request, so
 * after an hour its failure may be far from the end.
 */
const FIRST = 256 * 1024;
const MOST = 4 * 1024 * 1024;
/** Lines of a log that a cause keeps. */
export const KEPT_LINES = 50;

/** Where a process's own output lies in its log file. */
export interface LogSpan {
  readonly logFile: string;
  readonly logFrom?: number | undefined;
  readonly logTo?: number | undefined;
}

/**
 * The end of a log, as much as is needed to see why its program failed. Empty when the log cannot be read.
 */
export async function evidenceOf(
  { logFile, logFrom, logTo }: LogSpan,
  enough = ENOUGH_LINES,
): Promise<string> {
  let text = '';
  for (let most = FIRST; most <= MOST; most *= 4) {
    try {
      const end = await endOf(logFile, { from: logFrom ?? 0, to: logTo, most });
      text = end.text;
      if (end.whole) break;
    } catch {
      return text;
    }
    if (linesThatMatter(text) >= enough) break;
  }
  return text;
}

function linesThatMatter(text: string): number {
  let count = 0;
  for (const line of text.split('\n')) {
    if (line === '' || isAccess(line) || isBeat(line)) continue;
    const { level } = parseLine(withoutColours(line).slice(0, 300));
    if (level === 'none' || level === 'error') count++;
  }
  return count;
}

/** The last lines of a log, without those about single requests, because they do not explain a failure. */
export function lastLines(text: string): string[] {
  const all = text.split('\n').map((line) => line.replace(/\r$/, ''));
  const lines = all.at(-1) === '' ? all.slice(0, -1) : all;
  const telling = lines.filter((line) => !isAccess(line));
  return (telling.some((line) => line.trim() !== '') ? telling : lines).slice(-KEPT_LINES);
}
