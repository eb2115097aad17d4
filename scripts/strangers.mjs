#!/usr/bin/env node
// Listens on ports of srtctl's plans, on every address, and answers every request with 200. A test suite and a local
// run must not be disturbed by this. `node scripts/strangers.mjs [COMMAND...]` runs the command meanwhile, and ends
// with its exit code.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';

const PORTS = [8000, 30_000, 4222, 2379];

for (const port of PORTS) {
  const server = createServer((_, response) => response.end('a stranger\n'));
  server.listen(port, '::');
  await once(server, 'listening');
}
process.stderr.write(`strangers listen on ${PORTS.join(', ')} of every address\n`);

const [command, ...args] = process.argv.slice(2);
if (command !== undefined) {
  const child = spawn(command, args, { stdio: 'inherit' });
  const [code, signal] = await once(child, 'exit');
  process.exit(code ?? (signal ? 1 : 0));
}
