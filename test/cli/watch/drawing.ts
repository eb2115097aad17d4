import { openScreen } from '../../../src/cli/watch/terminal.ts';
import type { Row } from '../../../src/cli/watch/views/rows.ts';
import { fitted, span } from '../../../src/cli/watch/views/rows.ts';

// A program that draws a frame for each key and each resize. Each row of a frame has the frame's number, and texts of
// changing length and width, so that a row that stays from another frame can be seen.
let frame = 0;
const screen = openScreen({ out: process.stdout, hasColours: true, onKey, onResize: draw });

function draw(): void {
  frame++;
  const { columns, rows } = screen.size;
  const line = (y: number): Row => {
    const text = '日本x'.repeat((frame * 7 + y * 3) % 11).padEnd((frame * 5 + y) % 30, 'o');
    return fitted(
      [span(`${frame}:${y} `, y % 2 === 0 ? 'bad' : 'dim'), span(text, y % 3 === 0 ? 'picked' : undefined)],
      columns,
    );
  };
  screen.draw(Array.from({ length: rows }, (_, y) => line(y)));
}

function onKey(key: string): void {
  if (key === 'q') void screen.close().then(() => process.exit(0));
  else draw();
}
draw();
