import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { dirname } from 'node:path';
import lockfile from 'proper-lockfile';
import * as z from 'zod';
import { EXIT, SrtctlError } from '../../os/errors.ts';
import { setOwnUmask } from '../../os/processes/own-umask.ts';
import { statusServer } from './server.ts';
import { JobStore } from './store.ts';

setOwnUmask();

const optionsSchema = z.object({
  host: z.string(),
  port: z.number().int().min(0).max(65535),
  database: z.string(),
  tokenEnv: z.string(),
  /** Other machines may reach it without a token. */
  open: z.boolean(),
});
const LOOPBACK = /^(127\.|::1$|localhost$)/;

/** `node status-server.js OPTIONS`, where OPTIONS is JSON. Runs until a signal ends it. */
async function main(): Promise<void> {
  const { host, port, database, tokenEnv, open } = optionsSchema.parse(JSON.parse(process.argv[2] ?? '{}'));
  const token = process.env[tokenEnv] || undefined;
  if (token === undefined && !open && !LOOPBACK.test(host))
    throw new SrtctlError(
      'no-token',
      `without a token, any machine that reaches ${host} could change the jobs`,
      {
        hint: `set the variable ${tokenEnv}, or say --open`,
      },
    );
  mkdirSync(dirname(database), { recursive: true });
  const release = await lockfile
    .lock(database, { realpath: false, lockfilePath: `${database}.server` })
    .catch((error: unknown) => {
      throw new SrtctlError('database-in-use', `another status-server has ${database} open`, {
        hint: '--database selects another file',
        cause: error,
      });
    });
  const store = new JobStore(database);
  const server = statusServer(store, token);
  server.listen(port, host);
  await once(server, 'listening').catch((error: NodeJS.ErrnoException) => {
    throw new SrtctlError(
      'cannot-listen',
      `cannot listen on ${host}:${port}: ${error.code ?? error.message}`,
    );
  });
  const address = server.address();
  const actual = typeof address === 'object' && address ? address.port : port;
  process.stdout.write(
    `status-server: http://${isIPv6(host) ? `[${host}]` : host}:${actual} (jobs in ${database})\n`,
  );
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => {
      server.close();
      server.closeAllConnections();
      store.close();
      void release().finally(() => process.exit(EXIT.ok));
    });
}

main().catch((error: unknown) => {
  const line = error instanceof SrtctlError ? error.oneLine() : String(error);
  process.stderr.write(`srtctl: ${line}\n`);
  process.exit(error instanceof SrtctlError ? error.exitCode : EXIT.broke);
});
