import { type Command, Option } from 'commander';
import type { WayIn } from '../../jobs/way-in.ts';
import { JOB_WORDS, OUTPUT_OPTION } from '../../terminal/options.ts';
import { writeExactly } from '../../terminal/terminal.ts';
import { LANGUAGES, type Language, natsCommands, programOf } from './bus-examples.ts';

interface BusOptions {
  readonly output?: string;
  readonly example?: Language;
  readonly export?: string;
  readonly json?: boolean;
}

export function registerBus(program: Command): void {
  program
    .command('bus')
    .description('Show how other programs watch a running job: address, key of readers, examples.')
    .argument('[job]', JOB_WORDS, 'latest')
    .option(...OUTPUT_OPTION)
    .addOption(
      new Option('--example <language>', 'print a program that prints all messages').choices(LANGUAGES),
    )
    .option('--export <file>', 'write the key of readers to a new file (mode 0600), for a colleague')
    .option('--json', 'one JSON object: url, keyFile, caFile, subjects, stream')
    .addHelpText(
      'after',
      `
A reader sees what happens and what has happened. It cannot command agents, answer in another's place or read logs.
docs/reference/bus.md describes every subject and message.

Examples:
  srtctl bus latest
  srtctl bus latest --example python > watch.py
  srtctl bus latest --export ~/for-my-colleague.nk`,
    )
    .action(showBus);
}

async function showBus(told: string, options: BusOptions): Promise<void> {
  const { findJob, outputsRoot } = await import('../../jobs/job-dir.ts');
  const job = await findJob(told, outputsRoot(options.output));
  const { exportKey, wayInto } = await import('../../jobs/way-in.ts');
  const way = await wayInto(job);
  if (options.export !== undefined) await exportKey(way, options.export);
  if (options.example) writeExactly(programOf(options.example, way));
  else if (options.json) writeExactly(`${JSON.stringify(way)}\n`);
  else if (options.export === undefined) writeExactly(textOf(job.jobId, way));
}

function textOf(jobId: string, way: WayIn): string {
  const [live, all] = natsCommands(way);
  const { url, keyFile, caFile, subjects, stream } = way;
  const lines = [
    `job ${jobId}: ${url}, until the job ends`,
    `  key of readers   ${keyFile}`,
    ...(caFile ? [`  authority        ${caFile}`] : []),
    `  subjects         ${subjects}`,
    `  kept messages    stream ${stream}`,
    '',
    'from now on, with the tool of NATS:',
    `  ${live}`,
    'from the beginning of the job:',
    `  ${all}`,
    '',
    `in a program: srtctl bus ${jobId} --example ${LANGUAGES.join('|')}`,
    `for a colleague: srtctl bus ${jobId} --export FILE (the key may only watch)`,
  ];
  return `${lines.join('\n')}\n`;
}
