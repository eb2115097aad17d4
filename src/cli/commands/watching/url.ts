import type { Command } from 'commander';
import { JOB_WORDS, OUTPUT_OPTION } from '../../terminal/options.ts';

interface UrlOptions {
  readonly output?: string;
  readonly ssh?: boolean;
  readonly json?: boolean;
}

export function registerUrl(program: Command): void {
  program
    .command('url')
    .description("Print the URL of a running job's frontend, and the ssh line to reach it from elsewhere.")
    .argument('[job]', JOB_WORDS, 'latest')
    .option(...OUTPUT_OPTION)
    .option('--ssh', 'print the ssh line alone')
    .option('--json', 'one JSON object: url, ssh, host, port, node, model, point')
    .addHelpText(
      'after',
      `
Standard output has the URL alone, and the rest goes to standard error, so that a script can use it.

Examples:
  srtctl url latest
  curl "$(srtctl url latest)/v1/models"
  srtctl url latest --ssh                  for the terminal of your own machine`,
    )
    .action(url);
}

async function url(told: string, { output, ssh, json }: UrlOptions): Promise<void> {
  const { findJob, outputsRoot } = await import('../../jobs/job-dir.ts');
  const { entryOf } = await import('../../jobs/entry.ts');
  const { urlOf, tunnelTo } = await import('../../view/reach.ts');
  const { plain } = await import('../../terminal/text.ts');
  const { v: _, ...entry } = await entryOf(await findJob(told, outputsRoot(output)));
  const address = urlOf(entry);
  const tunnel = tunnelTo(entry);
  if (json) process.stdout.write(`${JSON.stringify({ url: address, ssh: tunnel, ...entry })}\n`);
  else if (ssh) process.stdout.write(`${tunnel}\n`);
  else {
    const { ordinal, name, state } = entry.point;
    process.stdout.write(`${address}\n`);
    const where = `${entry.model} on ${entry.node}: point ${ordinal} ${name}, ${state}`;
    process.stderr.write(
      `${plain(where)}\nfrom elsewhere: ${tunnel}   then http://localhost:${entry.port}\n`,
    );
  }
}
