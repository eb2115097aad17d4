import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { setting } from '../common/argv.ts';
import { Fatal } from '../common/fatal.ts';
import type { EngineOptions } from './engine-options.ts';

const RETRY_MS = 100;

const timeoutMs = (): number => setting('SRTCTL_SIM_DIST_TIMEOUT_MS', 60_000);
const lost = (who: string): Fatal =>
  new Fatal(`torch.distributed.DistBackendError: NCCL error: remote process exited (${who})`, {
    traceback: true,
  });

/**
 * Connects the ranks of an endpoint at --dist-init-addr. Resolves when all have joined; after that the end of
 * any connection ends this process, as a lost peer ends a real engine.
 */
export async function joinRanks(options: EngineOptions, fail: (error: Fatal) => void): Promise<void> {
  const { nnodes, nodeRank, distInitAddr } = options;
  if (nnodes === 1 || !distInitAddr) return;
  await (nodeRank === 0 ? lead(distInitAddr, nnodes, fail) : follow(distInitAddr, nodeRank, fail));
}

function lead(
  at: { host: string; port: number },
  nnodes: number,
  fail: (error: Fatal) => void,
): Promise<void> {
  const joined = new Map<number, Socket>();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () =>
        reject(
          new Fatal(
            `torch.distributed.DistStoreError: Timed out, ${joined.size + 1}/${nnodes} clients joined`,
            { traceback: true },
          ),
        ),
      timeoutMs(),
    );
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', (data) => {
        const rank = Number(data.toString().match(/^rank (\d+)/)?.[1]);
        if (!(rank > 0 && rank < nnodes) || joined.has(rank)) {
          socket.destroy();
          return;
        }
        joined.set(rank, socket);
        socket.once('close', () => fail(lost(`rank ${rank}`)));
        if (joined.size < nnodes - 1) return;
        clearTimeout(timer);
        for (const each of joined.values()) each.write('go\n');
        resolve();
      });
    });
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        new Fatal(
          `torch.distributed.DistNetworkError: cannot listen on ${at.host}:${at.port}: ${error.code}`,
          { traceback: true },
        ),
      ),
    );
    server.listen({ ...at, exclusive: true });
  });
}

async function follow(
  at: { host: string; port: number },
  rank: number,
  fail: (error: Fatal) => void,
): Promise<void> {
  const until = performance.now() + timeoutMs();
  for (;;) {
    const socket = await tryConnect(at);
    if (socket) return whenAllJoined(socket, rank, fail);
    if (performance.now() > until)
      throw new Fatal(
        `torch.distributed.DistNetworkError: The client socket has timed out while trying to connect to (${at.host}, ${at.port})`,
        { traceback: true },
      );
    await sleep(RETRY_MS);
  }
}

function tryConnect(at: { host: string; port: number }): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(at);
    socket.once('connect', () => resolve(socket));
    socket.once('error', () => resolve(undefined));
  });
}

function whenAllJoined(socket: Socket, rank: number, fail: (error: Fatal) => void): Promise<void> {
  return new Promise((resolve) => {
    socket.on('error', () => undefined);
    socket.once('close', () => fail(lost('rank 0')));
    socket.once('data', () => resolve());
    socket.write(`rank ${rank}\n`);
  });
}
