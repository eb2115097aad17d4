import type { Command } from 'commander';
import type { SrtEvent } from '../../../messages/events/events.ts';
import { GREP_OPTIONS, JOB_WORDS, OUTPUT_OPTION, SINCE_OPTION } from '../../terminal/options.ts';

interface EventsOptions {
  readonly output?: string;
  readonly follow?: boolean;
  readonly since?: string;
  readonly grep?: string;
  readonly ignoreCase?: boolean;
  readonly json?: boolean;
}

export function registerEvents(program: Command): void {
  program
    .command('events')
    .description('Print what has happened in a job, a line for each event.')
    .argument('[job]', JOB_WORDS, 'latest')
    .option('-f, --follow', 'keep printing new events until the job has ended')
    .option(...SINCE_OPTION)
    .option(...GREP_OPTIONS.grep)
    .option(...GREP_OPTIONS.ignoreCase)
    .option(...OUTPUT_OPTION)
    .option('--json', 'one JSON object a line, as in events.jsonl')
    .addHelpText(
      'after',
      `
Reads events.jsonl, and while the job runs its bus.

Examples:
  srtctl events latest
  srtctl events latest --since 10m --grep 'failed|lost'
  srtctl events latest -f --json | jq -r 'select(.kind == "point.result") | .result.name'`,
    )
    .action(events);
}

async function events(told: string, options: EventsOptions): Promise<void> {
  const { patternOf, timeOf } = await import('../../terminal/since.ts');
  const since = options.since === undefined ? undefined : timeOf(options.since, Date.now());
  const pattern =
    options.grep === undefined ? undefined : patternOf(options.grep, options.ignoreCase === true);
  const { findJob, outputsRoot } = await import('../../jobs/job-dir.ts');
  const job = await findJob(told, outputsRoot(options.output));
  const { lineOf } = await import('../../view/lines.ts');
  const { tailEvents } = await import('../../jobs/event-tail.ts');
  const { writeAll } = await import('../../terminal/write-all.ts');
  const textOf = (event: SrtEvent): string => (options.json ? JSON.stringify(event) : lineOf(event));
  await tailEvents({
    job,
    follow: options.follow === true,
    handle: async (event) => {
      if (since !== undefined && Date.parse(event.at) < since) return;
      const text = textOf(event);
      if (pattern === undefined || pattern.test(text)) await writeAll(`${text}\n`);
    },
  });
}
