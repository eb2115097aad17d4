import { execFileSync, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { describe } from 'vitest';
import { shellQuote } from '../../src/os/quote.ts';
import { until } from './bus.ts';

const isThere = spawnSync('tmux', ['-V']).status === 0;

/** Tests in a real terminal. Without tmux they are skipped, but not in CI. */
export function describeInTmux(title: string, tests: () => void): void {
  describe.skipIf(!isThere && !process.env.CI)(isThere ? title : `${title} (tmux is missing)`, tests);
}

/** A program in a terminal of tmux, whose screen can be read and resized. */
export class Terminal {
  readonly #server = `srtctl-test-${randomUUID()}`;

  constructor(
    command: readonly string[],
    { columns, rows }: { readonly columns: number; readonly rows: number },
    env: Readonly<Record<string, string>> = {},
  ) {
    const words = ['env', ...Object.entries(env).map(([name, value]) => `${name}=${value}`), ...command];
    this.#tmux(
      ...['new-session', '-d', '-x', `${columns}`, '-y', `${rows}`],
      // The screen stays when the program has ended.
      `${words.map(shellQuote).join(' ')}; echo "exit code $?"; exec cat`,
    );
  }

  /** The rows of the screen, without blanks at their ends. */
  screen(): string {
    return this.#tmux('capture-pane', '-p');
  }

  /** Waits for a text on the screen, and returns the screen. */
  shows(text: string | RegExp, ms = 30_000): Promise<string> {
    let last = '';
    const look = (): string | undefined => {
      last = this.screen();
      return (typeof text === 'string' ? last.includes(text) : text.test(last)) ? last : undefined;
    };
    return until(`"${text}" on the screen`, look, ms).catch((error: Error) =>
      Promise.reject(new Error(`${error.message}:\n${last}`)),
    );
  }

  /** Presses keys by tmux's names: `Enter`, `Escape`, `Tab`, or a character. */
  keys(...keys: readonly string[]): void {
    this.#tmux('send-keys', ...keys);
  }

  resize(columns: number, rows: number): void {
    this.#tmux('resize-window', '-x', `${columns}`, '-y', `${rows}`);
  }

  close(): void {
    spawnSync('tmux', ['-L', this.#server, 'kill-server']);
  }

  #tmux(...args: readonly string[]): string {
    return execFileSync('tmux', ['-L', this.#server, '-f', '/dev/null', ...args], { encoding: 'utf8' });
  }
}
