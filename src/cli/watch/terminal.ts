import { createTerminal, ScreenBuffer, type Terminal } from 'terminal-kit';
import { widthOf } from '../terminal/text.ts';
import type { Row, Size, Tone } from './views/rows.ts';

/** A terminal that supports these sequences shows everything between them at the same time; others ignore them. */
const [TOGETHER, SHOWN] = ['\u001b[?2026h', '\u001b[?2026l'];

/** The 16 colours of the terminal itself, which its user has chosen. */
const LOOKS: Readonly<Record<Tone, ScreenBuffer.Attributes>> = {
  good: { color: 'green' },
  bad: { color: 'red' },
  warn: { color: 'yellow' },
  busy: { color: 'cyan' },
  dim: { color: 'gray' },
  title: { bold: true },
  picked: { inverse: true },
};

export interface Screen {
  readonly size: Size;
  /** Shows rows, by sending the cells that have changed. `columns` and `rows` are those of `size`. */
  draw(rows: readonly Row[]): void;
  /** Gives a text to the clipboard of the user's terminal (OSC 52), also through ssh. */
  copy(text: string): void;
  close(): Promise<void>;
}

interface Options {
  /** A stream that does not escape what is written to it. */
  readonly out: NodeJS.WriteStream;
  readonly hasColours: boolean;
  readonly onKey: (key: string) => void;
  readonly onResize: () => void;
}

/** Takes over the whole terminal until `close`. */
export function openScreen({ out, hasColours, onKey, onResize }: Options): Screen {
  const term = createTerminal({
    stdin: process.stdin,
    stdout: out,
    stderr: process.stderr,
    generic: process.env.TERM === 'linux' ? 'linux' : 'xterm-256color',
    // Unknown: only what all terminals of that kind can do.
    ...{ appId: '', appName: '' },
    isTTY: true,
    isSSH: process.env.SSH_CONNECTION !== undefined,
    processSigwinch: false,
  } as Parameters<typeof createTerminal>[0]);
  term.fullscreen(true);
  term.hideCursor();
  term.grabInput({});
  let size = sizeOf(out);
  let buffer = bufferOf(term, size);
  /** Rows of the last frame with characters of two cells. */
  const wide = new Set<number>();
  const resized = (): void => {
    wide.clear();
    size = sizeOf(out);
    buffer = bufferOf(term, size);
    // What the terminal made of the old picture is unknown.
    out.write('\u001b[0m\u001b[2J');
    onResize();
  };
  // After a defect nothing else gives the terminal back.
  const restore = (): void => void out.write('\u001b[0m\u001b[?25h\u001b[?1049l');
  process.once('exit', restore);
  term.on('key', onKey);
  out.on('resize', resized);
  return {
    get size() {
      return size;
    },
    draw(rows) {
      for (let y = 0; y < size.rows; y++) {
        const row = rows[y] ?? [];
        const isWide = hasWide(row);
        if (isWide || wide.has(y)) forget(buffer, y);
        if (isWide) wide.add(y);
        else wide.delete(y);
        put(buffer, row, y, hasColours);
      }
      out.write(TOGETHER);
      buffer.draw({ delta: true });
      out.write(SHOWN);
    },
    copy: (text) => void out.write(`\u001b]52;c;${Buffer.from(text).toString('base64')}\u0007`),
    async close() {
      out.off('resize', resized);
      process.off('exit', restore);
      term.grabInput(false);
      term.hideCursor(false);
      term.styleReset();
      term.fullscreen(false);
    },
  };
}

const sizeOf = (out: NodeJS.WriteStream): Size => ({ columns: out.columns || 80, rows: out.rows || 24 });

const bufferOf = (term: Terminal, { columns, rows }: Size): ScreenBuffer =>
  new ScreenBuffer({ dst: term, width: columns, height: rows, x: 1, y: 1 });

/** A row that is as wide as the screen. */
function put(buffer: ScreenBuffer, row: Row, y: number, hasColours: boolean): void {
  let x = 0;
  for (const { text, tone } of row) {
    const look = tone === undefined ? {} : LOOKS[tone];
    const attr = hasColours || tone === 'picked' ? look : {};
    buffer.put(
      { x, y, attr: { defaultColor: true, bgDefaultColor: true, ...attr }, wrap: false, dx: 1, dy: 0 },
      text,
    );
    x += widthOf(text);
  }
}

const hasWide = (row: Row): boolean =>
  row.some(({ text }) => /[^\x20-\x7e]/.test(text) && widthOf(text) !== [...text].length);

/**
 * Has a row sent whole. terminal-kit 3.1.4 does not note the second cell of a wide character as sent, and would later take
 * it for what was there before.
 */
function forget(buffer: ScreenBuffer, y: number): void {
  const { lastBuffer, ITEM_SIZE } = buffer as unknown as { lastBuffer: Buffer | null; ITEM_SIZE: number };
  lastBuffer?.fill(0, y * buffer.width * ITEM_SIZE, (y + 1) * buffer.width * ITEM_SIZE);
}
