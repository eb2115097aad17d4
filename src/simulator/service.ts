import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname } from 'node:path';
import { Arguments } from './common/argv.ts';
import { Fatal } from './common/fatal.ts';

/** What has to be true of a service that is not here. */
interface StandIn {
  readonly host: string;
  readonly ports: readonly number[];
  /** A file that says it is ready. */
  readonly file?: string;
  /** Answers to requests by their path, with the status that counts as ready. */
  readonly answers?: Readonly<Record<string, { readonly status: number; readonly body: unknown }>>;
  /** It is the run, so it has to end. */
  readonly ends?: boolean;
}

/** Stands in for a service whose program is not on this machine: it is ready as the recipe wants it, and does nothing. */
export async function runService([what = '', ...command]: readonly string[]): Promise<void> {
  const { host, ports, file, answers = {}, ends } = JSON.parse(what) as StandIn;
  await Promise.all(ports.map((port) => listen(host, port, answers)));
  if (file !== undefined) writeWhole(file, 'ready\n');
  process.stdout.write(`srtctl: stand-in for ${command.join(' ')}: the program is not on this machine\n`);
  if (ends) process.exit(0);
  await stayUp();
}

/** `trtllm-serve mooncake_master` and `trtllm-serve mooncake_donor`. */
export async function runMooncakeOfTrtllm(which: string, argv: readonly string[]): Promise<void> {
  const options = new Arguments(argv);
  const [address, ready] = [options.text('address_file'), options.text('ready_file')];
  if (which === 'mooncake_master') {
    for (const name of ['rpc_port', 'metrics_port'])
      await listen('0.0.0.0', options.integer(0, name), { '/metrics': { status: 200, body: '' } });
    if (address !== undefined) writeWhole(address, `127.0.0.1:${options.integer(0, 'rpc_port')}\n`);
  } else {
    if (ready === undefined) throw new Fatal('error: --ready_file is missing', { exitCode: 2 });
    writeWhole(ready, 'ready\n');
  }
  process.stdout.write(`${which} is ready\n`);
  await stayUp();
}

function writeWhole(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

function listen(host: string, port: number, answers: NonNullable<StandIn['answers']>): Promise<void> {
  const server = createServer((request, response) => {
    const { status, body } = answers[request.url ?? ''] ?? { status: 200, body: {} };
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => resolve());
  });
}

/** Until SIGTERM. */
const stayUp = (): Promise<never> =>
  new Promise(() => {
    setInterval(() => undefined, 2 ** 30);
    process.once('SIGTERM', () => process.exit(0));
  });
