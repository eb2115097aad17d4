import { LineWatch } from './line-watch.ts';

/** How soon a line is seen. A look at a log that has not grown is an open and a stat. */
const EVERY_MS = 500;

export interface FatalWatch {
  readonly file: string;
  /** Byte of the file where what the process says begins. */
  readonly from: number;
  /** Regular expressions. */
  readonly lines: readonly string[];
  /** Told once, with the line. */
  readonly onLine: (line: string) => void;
}

/**
 * Reads what a process writes for lines that say that it is of no use any more, though it goes on running. Ends with the
 * first of them, or by the function that it returns.
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
