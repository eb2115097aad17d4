import type { LinearPattern } from '../../messages/spec/linear-pattern.ts';
import { LineWatch } from './line-watch.ts';

/** How soon a line is noticed. Checking an unchanged log costs an open and a stat. */
const EVERY_MS = 500;

export interface FatalWatch {
  readonly file: string;
  /** Byte of the file where the process's output starts. */
  readonly from: number;
  /** Regular expressions of an engine, and patterns of a recipe. */
  readonly lines: readonly (string | LinearPattern)[];
  /** Called once, with the line. */
  readonly onLine: (line: string) => void;
}

/**
 * Watches a process's log for lines that show that the process can no longer serve although it keeps running.
 * Ends with the first such line, or when the returned function is called.
 */
export function watchForFatalLine({ file, from, lines, onLine }: FatalWatch): () => void {
  const watch = new LineWatch(file, from, ...lines);
  let isOver = false;
  let timer = setTimeout(look, EVERY_MS);

  async function look(): Promise<void> {
    const line = await watch.look();
    if (isOver) return;
    if (line !== undefined) return onLine(line);
    timer = setTimeout(look, EVERY_MS);
  }
  return () => {
    isOver = true;
    clearTimeout(timer);
  };
}
