import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describeHolder, holdersOf } from './port-holders.ts';
import { socketsOn } from './tcp-table.ts';

/** A process that was just stopped may still have its port. */
const PATIENCE_MS = 1_500;
const PAUSE_MS = 100;

/** A port on which a process will listen. */
export interface WantedPort {
  readonly process: string;
  /** The purpose of the port: `http`, `system`. */
  readonly name: string;
  readonly port: number;
}

export interface TakenPort extends WantedPort {
  /** The holder of the port, as the end of a sentence. */
  readonly holder: string;
}

export interface PortLook {
  /**
   * The listening address of the node's processes: its own address where nodes share a machine, else every
   * address.
   */
  readonly address: string;
  /** Whether a process is the agent's own, so that the agent manages its ports. */
  readonly isOwn: (pid: number) => boolean;
  readonly patienceMs?: number;
}

/** The ports that another program still has after a short wait for ending processes. */
export async function takenPorts(wanted: readonly WantedPort[], look: PortLook): Promise<TakenPort[]> {
  const until = performance.now() + (look.patienceMs ?? PATIENCE_MS);
  let left = await busy(wanted, look.address);
  while (left.length > 0 && performance.now() < until) {
    await sleep(PAUSE_MS);
    left = await busy(left, look.address);
  }
  const taken = await Promise.all(left.map((each) => withHolder(each, look)));
  return taken.filter((each) => each !== undefined);
}

/** `port 8000 on node1, which frontend-0 needs (http), is taken by pid 4242 of user bob: python3 -m http.server 8000`. */
export const describeTaken = ({ port, process, name, holder }: TakenPort, node: string): string =>
  `port ${port} of ${node}, which ${process} needs (${name}), is taken by ${holder}`;

async function busy(wanted: readonly WantedPort[], address: string): Promise<WantedPort[]> {
  const free = await Promise.all(wanted.map(({ port }) => isFree(address, port)));
  return wanted.filter((_, at) => !free[at]);
}

/**
 * Tries to bind as the process itself will, because the table of sockets does not show which of them would
 * conflict.
 */
function isFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    // The process reports other refusals of the kernel (a port below 1024) itself.
    server.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code !== 'EADDRINUSE'));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** undefined when the agent's own process has the port. */
async function withHolder(wanted: WantedPort, { address, isOwn }: PortLook): Promise<TakenPort | undefined> {
  const every = new Set(['0.0.0.0', '::']);
  const isInTheWay = (other: string) => every.has(address) || every.has(other) || other === address;
  const sockets = (await socketsOn(wanted.port, { listening: false }))
    .filter((socket) => isInTheWay(socket.address))
    .sort((a, b) => Number(b.listens) - Number(a.listens));
  for (const socket of sockets) {
    const pids = await holdersOf(socket.inode, { enough: () => true });
    const [pid] = pids;
    if (pid !== undefined && isOwn(pid)) return undefined;
    if (pid !== undefined || socket.inode !== 0)
      return { ...wanted, holder: await describeHolder(socket, pid) };
  }
  return { ...wanted, holder: 'a process that cannot be seen from here' };
}
