import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { describeInTmux, Terminal } from '../../support/tmux.ts';

let directory = '';
let terminal: Terminal | undefined;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'srtctl-screen-'));
  await symlink(resolve('node_modules'), join(directory, 'node_modules'));
  await build({
    ...{ entryPoints: ['test/cli/watch/drawing.ts'], outfile: join(directory, 'drawing.cjs') },
    ...{ bundle: true, external: ['terminal-kit'], platform: 'node', format: 'cjs' },
  });
});
afterEach(async () => {
  terminal?.close();
  await rm(directory, { recursive: true, force: true });
});

/** The number of the frame in the screen's first row. */
const frameOf = (screen: string): number => Number(/^(\d+):0\b/.exec(screen)?.[1] ?? 0);

describeInTmux('the screen in a terminal', () => {
  it('has no row of an earlier frame in 200 captures while rows change and the window is resized', async () => {
    const sizes = [
      [80, 24],
      [200, 50],
      [81, 23],
      [40, 10],
      [132, 43],
    ] as const;
    terminal = new Terminal([process.execPath, join(directory, 'drawing.cjs')], { columns: 80, rows: 24 });
    let last = frameOf(await terminal.shows(/^\d+:0\b/, 10_000));
    for (let capture = 0; capture < 200; capture++) {
      const [columns, rows] = sizes[Math.floor(capture / 8) % sizes.length] ?? sizes[0];
      if (capture % 8 === 0 && capture > 0) terminal.resize(columns, rows);
      else terminal.keys('x');
      // The whole of a frame that is newer: the last row has its number.
      const screen = await terminal.shows(new RegExp(`^(?!${last}:)(\\d+):0\\b[^]*\\n\\1:${rows - 1}\\b`));
      const frame = frameOf(screen);
      const lines = screen.trimEnd().split('\n');
      expect(
        lines.map((line) => Number(/^(\d+):/.exec(line)?.[1])),
        screen,
      ).toEqual(lines.map(() => frame));
      for (const [y, line] of lines.entries()) {
        const text = '日本x'.repeat((frame * 7 + y * 3) % 11).padEnd((frame * 5 + y) % 30, 'o');
        const whole = `${frame}:${y} ${text}`;
        expect(
          whole.startsWith(line.replace(/…$/, '').trimEnd()) || whole.trimEnd() === line,
          `${whole}\n${line}`,
        ).toBe(true);
      }
      last = frame;
    }
    terminal.keys('q');
    await terminal.shows('exit code 0');
  }, 120_000);
});
