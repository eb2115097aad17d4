import { agentOfSource } from '../../../messages/events/authorship.ts';
import type { JobOnDisk } from '../../jobs/job-dir.ts';
import { plain } from '../../terminal/text.ts';
import type { ProcessPast } from '../model/job-history.ts';

/** Lines that a page keeps. */
const MOST_LINES = 5_000;
const FIRST_LINES = 1_000;

/** Follows the log of a process while its page is open. */
export class ProcessLog {
  readonly lines: string[] = [];
  readonly #ended = new AbortController();

  constructor(job: JobOnDisk, process: string, past: ProcessPast, changed: () => void) {
    void this.#follow(job, process, past, changed).catch((error: Error) => {
      this.#add(`the log cannot be read: ${error.message}\n`);
      changed();
    });
  }

  close(): void {
    this.#ended.abort();
  }

  async #follow(job: JobOnDisk, process: string, past: ProcessPast, changed: () => void): Promise<void> {
    const { readLog } = await import('../../jobs/log-reader.ts');
    const agent = agentOfSource(past.source) ?? past.node;
    const reader = await readLog(job, { process, agent, file: past.logFile });
    try {
      let piece = await reader.tail(FIRST_LINES);
      while (!this.#ended.signal.aborted) {
        if (piece.text !== '') {
          this.#add(piece.text);
          changed();
        }
        piece = await reader.from(piece.offset);
      }
    } finally {
      await reader.close();
    }
  }

  #isOpen = false;

  /** A piece may begin and end within a line. */
  #add(text: string): void {
    const lines = text.split('\n');
    if (this.#isOpen && this.lines.length > 0) {
      const last = this.lines.length - 1;
      this.lines[last] = `${this.lines[last]}${plain(lines.shift() ?? '')}`;
    }
    this.#isOpen = lines.at(-1) !== '' || lines.length === 0;
    if (lines.at(-1) === '') lines.pop();
    for (const line of lines) this.lines.push(plain(line));
    if (this.lines.length > MOST_LINES) this.lines.splice(0, this.lines.length - MOST_LINES);
  }
}
