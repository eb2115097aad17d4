import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { Frames } from '../../../src/cli/view/frames.ts';

/** The features of a terminal that the view uses: lines that scroll, a cursor that moves, erasing. */
class Terminal {
  columns: number;
  rows: number;
  readonly out: NodeJS.WriteStream;
  readonly #screen: string[] = [];
  #row = 0;
  #column = 0;

  constructor(columns: number, rows: number) {
    this.columns = columns;
    this.rows = rows;
    const stream = new Writable({
      write: (chunk, _, done) => {
        this.#take(String(chunk));
        done();
      },
    });
    this.out = Object.assign(stream, { isTTY: true, columns, rows }) as unknown as NodeJS.WriteStream;
  }

  get shown(): string[] {
    return this.#screen.map((line) => line.trimEnd()).filter((line) => line !== '');
  }

  /** Wraps lines that are too long for a narrower terminal, as most terminals do. */
  resize(columns: number): void {
    const broken = this.#screen.flatMap((line) => line.match(new RegExp(`.{1,${columns}}`, 'g')) ?? ['']);
    this.#screen.splice(0, this.#screen.length, ...broken.slice(-this.rows));
    this.#row = Math.max(0, this.#screen.length - 1);
    this.columns = columns;
    this.out.columns = columns;
    this.out.emit('resize');
  }

  #take(text: string): void {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: sequences of a terminal
    for (const [token, count, command] of text.matchAll(/\u001b\[\??(\d*)(?:;\d*)*([A-Za-z])|[^\u001b]/g))
      if (command === undefined) this.#put(token);
      else this.#obey(command, Number(count || '1'), count);
  }

  #put(char: string): void {
    if (char === '\r') this.#column = 0;
    else if (char === '\n') {
      this.#column = 0;
      if (this.#row + 1 < this.rows) this.#row++;
      else this.#screen.shift();
    } else {
      const line = (this.#screen[this.#row] ?? '').padEnd(this.#column);
      this.#screen[this.#row] = line.slice(0, this.#column) + char + line.slice(this.#column + 1);
      this.#column++;
    }
    for (let row = 0; row <= this.#row; row++) this.#screen[row] ??= '';
  }

  #obey(command: string, count: number, given: string | undefined): void {
    if (command === 'A') this.#row = Math.max(0, this.#row - count);
    else if (command === 'H') [this.#row, this.#column] = [0, 0];
    else if (command === 'J' && given === '2') this.#screen.splice(0);
    else if (command === 'J') {
      this.#screen.splice(this.#row + 1);
      this.#screen[this.#row] = (this.#screen[this.#row] ?? '').slice(0, this.#column);
    }
  }
}

/** Pictures during a change of point: lines disappear, appear and move, and the last ones stay. */
const PICTURES = [
  'job\npoint 0\n███ 4 of 8\nbenchmark ready\nfrontend ready',
  'job\npoint 1\nfrontend ready',
  'job\npoint 1\nsweep: 1 of 2\n░░░ 0 of 8\nbenchmark starting\nfrontend ready',
  'job\nfrontend ready',
];

describe('pictures on a terminal', () => {
  it('show nothing of earlier pictures, whichever lines go or come', () => {
    const terminal = new Terminal(40, 12);
    const frames = new Frames(terminal.out);
    terminal.out.write('$ srtctl watch\n');
    for (const picture of PICTURES) {
      frames.draw(picture);
      expect(terminal.shown).toEqual(['$ srtctl watch', ...picture.split('\n')]);
    }
    frames.end();
    terminal.out.write('results: /jobs/1\n');
    expect(terminal.shown.at(-1)).toBe('results: /jobs/1');
  });

  it('show nothing of earlier pictures when the terminal was made narrower', () => {
    const terminal = new Terminal(40, 12);
    const frames = new Frames(terminal.out);
    for (const picture of PICTURES) {
      frames.draw(picture);
      terminal.resize(terminal.columns - 8);
      const next = picture.replaceAll(' ', '');
      frames.draw(next);
      expect(terminal.shown).toEqual(next.split('\n'));
    }
    frames.end();
    expect(terminal.out.listenerCount('resize')).toBe(0);
  });

  it('scroll the text above them when they grow beyond the screen', () => {
    const terminal = new Terminal(20, 4);
    const frames = new Frames(terminal.out);
    terminal.out.write('a\nb\n');
    frames.draw('1');
    frames.draw('1\n2\n3');
    expect(terminal.shown).toEqual(['1', '2', '3']);
    frames.draw('4\n5');
    expect(terminal.shown).toEqual(['4', '5']);
  });
});
