import type { Command } from 'commander';
import { SrtctlError } from '../../../os/errors.ts';
import { JOB_WORDS, OUTPUT_OPTION } from '../../terminal/options.ts';
import { writeExactly } from '../../terminal/terminal.ts';

interface LogOptions {
  readonly output?: string;
  readonly follow?: boolean;
  readonly lines: string;
}

export function registerLogs(program: Command): void {
  program
    .command('logs')
    .description('Show the log of a process of a job; without a process, list the logs.')
    .argument('<job>', JOB_WORDS)
    .argument(
      '[process]',
      'a name from the list: prefill-0-0, frontend-0, benchmark, coordinator, nats, agent-<node>',
    )
    .option('-f, --follow', 'keep printing new lines')
    .option('-n, --lines <n>', 'number of last lines, at most 10000', '50')
    .option(...OUTPUT_OPTION)
    .addHelpText(
      'after',
      `
Examples:
  srtctl logs latest                       which logs there are
  srtctl logs latest decode-0-0 -f         live, until the job is over
  srtctl logs latest coordinator -n 500    srtctl's own log of the job`,
    )
    .action(async (told: string, process_: string | undefined, options: LogOptions) => {
      await logs(told, process_, options);
    });
}

async function logs(told: string, name: string | undefined, options: LogOptions): Promise<void> {
  const lines = Number(options.lines);
  if (!Number.isInteger(lines) || lines < 0)
    throw new SrtctlError('usage', `--lines ${options.lines} is not a whole number`);
  const { findJob, isOver, outputsRoot } = await import('../../jobs/job-dir.ts');
  const job = await findJob(told, outputsRoot(options.output));
  const { logFilesOf, unknownProcess } = await import('../../jobs/log-files.ts');
  const files = await logFilesOf(job);
  if (name === undefined) {
    const width = Math.max(...files.map((entry) => entry.process.length));
    for (const { process: id, file, size } of files)
      process.stdout.write(`${id.padEnd(width)} ${sizeText(size).padStart(9)}  ${file}\n`);
    return;
  }
  const found = files.find((entry) => entry.process === name);
  if (!found) throw unknownProcess(name, files);
  const { readLog } = await import('../../jobs/log-reader.ts');
  const reader = await readLog(job, found);
  try {
    let piece = await reader.tail(lines);
    writeExactly(piece.text);
    while (options.follow) {
      const over = await isOver(job);
      piece = await reader.from(piece.offset);
      writeExactly(piece.text);
      if (over && piece.text === '') return;
    }
  } finally {
    await reader.close();
  }
}

function sizeText(bytes: number): string {
  if (bytes < 1_024) return `${bytes} B`;
  const kib = bytes / 1_024;
  return kib < 1_024 ? `${kib.toFixed(1)} KiB` : `${(kib / 1_024).toFixed(1)} MiB`;
}
