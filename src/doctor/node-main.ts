import { arch, hostname } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import { findProgram } from '../os/find-program.ts';
import { addressOfInterface } from '../os/own-address.ts';
import {
  freeInTmp,
  gpus,
  isOnPath,
  marked,
  missingOf,
  modelProblem,
  outputs,
  ownership,
  portsTaken,
  versionOf,
} from './node-looks.ts';
import {
  clockLine,
  type NodeReport,
  type NodeRequest,
  nodeRequestSchema,
  reportLines,
} from './node-report.ts';

const CLOCK_LINES = 4;
const BETWEEN_CLOCK_LINES_MS = 50;

/** `node doctor-node.js REQUEST`: checks this node and prints a report. */
async function main(): Promise<void> {
  const told = process.argv[2];
  if (told === undefined) {
    process.stderr.write('usage: doctor-node REQUEST\n');
    process.exit(2);
  }
  const request = nodeRequestSchema.parse(JSON.parse(told));
  const node = process.env.SLURMD_NODENAME ?? hostname();
  const clock = tellClock(node);
  for (const line of reportLines(await look(node, request))) await print(line);
  await clock;
  // Repeats the clock line when the node is idle, because the checks keep it busy, and a late line looks like
  // a slow clock.
  await print(clockLine(node, Date.now()));
}

const print = (line: string): Promise<void> =>
  new Promise((resolve) => process.stdout.write(`${line}\n`, () => resolve()));

async function tellClock(node: string): Promise<void> {
  for (let count = 0; count < CLOCK_LINES; count++) {
    await wait(BETWEEN_CLOCK_LINES_MS);
    await print(clockLine(node, Date.now()));
  }
}

async function look(node: string, request: NodeRequest): Promise<NodeReport> {
  const { networkInterface, models, paths, ports, distDir } = request;
  const [cards, taken, leftovers, owned, tmp, version, shared] = await Promise.all([
    gpus(),
    portsTaken(ports),
    marked(),
    ownership(),
    freeInTmp(),
    versionOf(distDir),
    outputs(request, node),
  ]);
  const known = networkInterface === null || addressOfInterface(networkInterface) !== undefined;
  return {
    node,
    machine: arch(),
    ...cards,
    visibleDevices: process.env.CUDA_VISIBLE_DEVICES ?? null,
    portsTaken: taken,
    leftovers,
    ownership: owned,
    missing: await missingOf(paths),
    models: await Promise.all(models.map(async (path) => ({ path, problem: await modelProblem(path) }))),
    tmp,
    srtctl: { version },
    outputs: shared,
    programs: await Promise.all(
      request.programs.map(async (name) => ({ name, problem: await missing(name, request.cwd) })),
    ),
    interfaceProblem: known ? null : `the node has no interface ${networkInterface} with an IPv4 address`,
  };
}

async function missing(name: string, cwd: string): Promise<string | null> {
  if (name !== 'nats-server' && name !== 'etcd')
    return (await isOnPath(name)) ? null : `${name} is not in PATH`;
  try {
    findProgram(name, process.env, cwd);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

void main();
