import type { Command } from 'commander';
import type { JobOnDisk } from '../../jobs/job-dir.ts';
import type { LogLine } from '../../logs/read-logs.ts';
import { GREP_OPTIONS, JOB_WORDS, OUTPUT_OPTION, SINCE_OPTION, wholeNumber } from '../../terminal/options.ts';
import { writeExactly } from '../../terminal/terminal.ts';

interface LogOptions {
  readonly output?: string;
  readonly list?: boolean;
  readonly follow?: boolean;
  readonly lines?: string;
  readonly since?: string;
  readonly grep?: string;
  readonly ignoreCase?: boolean;
  readonly node?: string;
  readonly all?: boolean;
  readonly timestamps?: boolean;
  readonly json?: boolean;
}

export function registerLogs(program: Command): void {
  program
    .command('logs')
    .description('Show the logs of a job: of one process, or of several, merged by time.')
    .argument('<job>', JOB_WORDS)
    .argument(
      '[processes...]',
      'names, beginnings of names (decode) or patterns ("decode-*-0"); also coordinator, nats, agent-<node>',
    )
    .option('-l, --list', 'list the logs with their sizes and files')
    .option('-f, --follow', 'keep printing new lines until the job has ended')
    .option('-n, --lines <n>', 'number of last lines (default: 50, or all with --since or --grep)')
    .option(...SINCE_OPTION)
    .option(...GREP_OPTIONS.grep)
    .option(...GREP_OPTIONS.ignoreCase)
    .option('--node <node>', 'only processes on this node')
    .option('--all', "also srtctl's own logs of agents and of nats-server")
    .option('-t, --timestamps', "begin each line with its time by the job's clock; ~ before an estimate")
    .option(...OUTPUT_OPTION)
    .option('--json', 'one JSON object a line: at, isEstimate, process, node, text')
    .addHelpText(
      'after',
      `
Without a process: all processes of the job, and the coordinator.

Examples:
  srtctl logs latest -f                    all processes, live, until the job is over
  srtctl logs latest decode-0-0 -n 500     one process, its lines as they are
  srtctl logs latest decode prefill --since 10m -i --grep 'error|warn'
  srtctl logs latest --list                which logs there are
  srtctl logs latest coordinator           srtctl's own log of the job`,
    )
    .action(logs);
}

const LINES = 50;

async function logs(told: string, names: readonly string[], options: LogOptions): Promise<void> {
  const lines = options.lines === undefined ? undefined : wholeNumber('--lines', options.lines);
  const { patternOf, timeOf } = await import('../../terminal/since.ts');
  const since = options.since === undefined ? undefined : timeOf(options.since, Date.now());
  const pattern =
    options.grep === undefined ? undefined : patternOf(options.grep, options.ignoreCase === true);
  const { findJob, outputsRoot } = await import('../../jobs/job-dir.ts');
  const job = await findJob(told, outputsRoot(options.output));
  const { LogIndex } = await import('../../logs/log-index.ts');
  const known = await new LogIndex(job).refresh();
  const { selection } = await import('../../logs/selection.ts');
  const choose = selection(names, options);
  const chosen = choose(known);
  if (options.list) return list(names.length === 0 ? known : chosen);
  const [only] = chosen;
  const isPlain = [since, pattern, options.node, options.timestamps, options.json].every(
    (each) => each === undefined,
  );
  if (only && names.length === 1 && only.process === names[0] && isPlain)
    return one(job, only, lines ?? LINES, options.follow === true);
  const { readLogs } = await import('../../logs/read-logs.ts');
  const { writeAll } = await import('../../terminal/write-all.ts');
  const textOf = await formatOf(options, Math.max(0, ...chosen.map(({ process }) => process.length)));
  await readLogs(job, {
    ...{ choose, since, follow: options.follow === true },
    last: lines ?? (since === undefined && pattern === undefined ? LINES : undefined),
    fits: (line) => pattern === undefined || pattern.test(line),
    handle: (line) => writeAll(`${textOf(line)}\n`, writeExactly),
  });
}

async function list(logFiles: readonly { process: string; file: string }[]): Promise<void> {
  const { stat } = await import('node:fs/promises');
  const { sizeText } = await import('../../terminal/sizes.ts');
  const width = Math.max(...logFiles.map(({ process }) => process.length));
  for (const { process: id, file } of logFiles) {
    const size = await stat(file).then(
      (found) => found.size,
      () => 0,
    );
    process.stdout.write(`${id.padEnd(width)} ${sizeText(size).padStart(9)}  ${file}\n`);
  }
}

/** The log of one process as it is, asked of its agent while the job runs. */
async function one(
  job: JobOnDisk,
  log: { process: string; agent: string | null; file: string },
  lines: number,
  follow: boolean,
): Promise<void> {
  const { isOver } = await import('../../jobs/job-dir.ts');
  const { readLog } = await import('../../jobs/log-reader.ts');
  const reader = await readLog(job, log);
  try {
    let piece = await reader.tail(lines);
    writeExactly(piece.text);
    while (follow) {
      const over = await isOver(job);
      piece = await reader.from(piece.offset);
      writeExactly(piece.text);
      if (over && piece.text === '') return;
    }
  } finally {
    await reader.close();
  }
}

/** A longer name of a process is not padded to, so that lines stay readable. */
const WIDEST_NAME = 28;

async function formatOf(
  { json, timestamps }: LogOptions,
  widestName: number,
): Promise<(line: LogLine) => string> {
  if (json) return ({ at, ...line }) => JSON.stringify({ at: new Date(at).toISOString(), ...line });
  const { colorsFor } = await import('../../view/printers.ts');
  const colors = colorsFor(process.stdout, process.env);
  const paints = [colors.cyan, colors.yellow, colors.green, colors.magenta, colors.blue];
  const width = Math.min(WIDEST_NAME, widestName);
  const paintOf = (name: string) => {
    let sum = 0;
    for (const char of name) sum = (sum * 31 + (char.codePointAt(0) ?? 0)) % 9_973;
    return paints[sum % paints.length] ?? colors.cyan;
  };
  const timeOf = ({ at, isEstimate }: LogLine): string =>
    `${isEstimate ? '~' : ' '}${new Date(at).toTimeString().slice(0, 8)}.${String(Math.floor(at) % 1_000).padStart(3, '0')} `;
  return (line) =>
    `${timestamps ? timeOf(line) : ''}${paintOf(line.process)(line.process.padEnd(width))} | ${line.text}`;
}
