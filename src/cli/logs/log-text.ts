import { stat } from 'node:fs/promises';
import { linesBackwards } from '../../os/files/lines-backwards.ts';
import { type FileLine, linesOf } from '../../os/files/lines-of.ts';
import type { LogPiece } from '../../os/log-tail.ts';

/** The text of a log, wherever it is. */
export interface LogText {
  /** Its length in bytes now, and the time of its last write, ms since 1970; undefined: unknown. */
  end(): Promise<{ readonly size: number; readonly writtenAt: number | undefined }>;
  /** The lines from a byte on that are there now; `partial`: also what follows the last line feed. */
  lines(
    from: number,
    options: { readonly partial: boolean; readonly piece: number },
  ): AsyncIterable<FileLine>;
  /** The last `count` lines, in their order. */
  lastLines(count: number): Promise<string[]>;
  /** The byte where the last `count` lines begin that `fits` lets through. */
  offsetOfLast(count: number, fits: (line: string) => boolean): Promise<number>;
}

/** A log that is a file here. */
export function fileText(file: string): LogText {
  const end = () =>
    stat(file).then(
      ({ size, mtimeMs }) => ({ size, writtenAt: mtimeMs }),
      () => ({ size: 0, writtenAt: undefined }),
    );
  return {
    end,
    lines: (from, options) => linesOf(file, { from, ...options }),
    async lastLines(count) {
      const found: string[] = [];
      const { size } = await end();
      for await (const { text } of linesBackwards(file, size)) if (found.unshift(text) >= count) break;
      return found;
    },
    async offsetOfLast(count, fits) {
      const { size } = await end();
      let left = count;
      let offset = size;
      if (left === 0) return size;
      for await (const { text, from } of linesBackwards(file, size)) {
        if (!fits(text)) continue;
        offset = from;
        if (--left === 0) break;
      }
      return offset;
    },
  };
}

/** The limit of one request (messages/events/control.ts). */
const MOST_LINES = 10_000;

/**
 * A log that only its agent can read.
 * @param ask sends a request to the agent; undefined when it does not answer
 */
export function agentText(
  ask: (request: { lines?: number; offset?: number }) => Promise<LogPiece | undefined>,
): LogText {
  const nothing = { text: '', offset: 0 };
  return {
    async end() {
      const { offset } = (await ask({ lines: 0 })) ?? nothing;
      return { size: offset, writtenAt: undefined };
    },
    async *lines(from, { partial }) {
      let at = from;
      let held = '';
      for (;;) {
        const piece = await ask({ offset: at });
        if (!piece || piece.text === '') break;
        at = piece.offset;
        const lines = (held + piece.text).split('\n');
        held = lines.pop() ?? '';
        let rest =
          Buffer.byteLength(held) + lines.reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0);
        for (const text of lines) {
          rest -= Buffer.byteLength(text) + 1;
          yield { text, next: at - rest };
        }
      }
      if (partial && held !== '') yield { text: held, next: at };
    },
    async lastLines(count) {
      const { text } = (await ask({ lines: Math.min(count, MOST_LINES) })) ?? nothing;
      return text.split('\n');
    },
    async offsetOfLast(count, fits) {
      const { text, offset } = (await ask({ lines: Math.min(count, MOST_LINES) })) ?? nothing;
      // With an expression the last lines may hold too few that match, and the agent searches nothing.
      return text.split('\n').some((line) => line !== '' && !fits(line))
        ? 0
        : Math.max(0, offset - Buffer.byteLength(text));
    },
  };
}
