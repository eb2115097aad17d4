import { once } from 'node:events';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { EXIT, SrtctlError } from '../../os/errors.ts';

interface StatusServerOptions {
  readonly listen: string;
  readonly database: string;
  readonly tokenEnv: string;
  readonly open?: boolean;
}

/** Beside the state of other programs (XDG Base Directory Specification). */
const databaseOf = (env: NodeJS.ProcessEnv): string =>
  join(env.XDG_STATE_HOME || join(homedir(), '.local/state'), 'srtctl', 'status.db');

export function registerStatusServer(program: Command): void {
  program
    .command('status-server')
    .description('Receive and list the states of jobs whose reporting.status names this server.')
    .option('--listen <address>', 'host:port; port 0 takes a free one', '127.0.0.1:8780')
    .option('--database <file>', 'SQLite file with the jobs', databaseOf(process.env))
    .option(
      '--token-env <variable>',
      'variable with the token that every request must have',
      'SRTCTL_STATUS_TOKEN',
    )
    .option('--open', 'without a token, let other machines in, too')
    .addHelpText(
      'after',
      `
GET / is the list for a browser, GET /api/jobs and /api/jobs/JOB are JSON. docs/how-to/reporting.md shows the rest.

Examples:
  srtctl status-server
  SRTCTL_STATUS_TOKEN=$(cat token) srtctl status-server --listen 0.0.0.0:8780
  curl -s 'localhost:8780/api/jobs?status=failed'`,
    )
    .action(serve);
}

async function serve({ listen, database, tokenEnv, open }: StatusServerOptions): Promise<void> {
  const { isIPv6 } = await import('node:net');
  const [, name = '', port = ''] = /^(.+):(\d{1,5})$/.exec(listen) ?? [];
  const host = name.replaceAll(/^\[|\]$/g, '');
  if (name === '' || Number(port) > 65_535 || (name.includes(':') && !isIPv6(host)))
    throw new SrtctlError('bad-address', `--listen ${listen} is not host:port`, {
      hint: 'such as 127.0.0.1:8780',
    });
  const { spawn } = await import('node:child_process');
  const { distDirectory } = await import('../submit/local-job.ts');
  const options = { host, port: Number(port), database: resolve(database), tokenEnv, open: open === true };
  // A program of its own, because SQLite would be in every command else.
  const server = spawn(
    process.execPath,
    [join(distDirectory(), 'status-server.js'), JSON.stringify(options)],
    {
      stdio: 'inherit',
    },
  );
  // A terminal's Ctrl-C reaches the server itself, too.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => server.kill(signal));
  const [code] = (await once(server, 'exit')) as [number | null];
  process.exitCode = code ?? EXIT.failed;
}
