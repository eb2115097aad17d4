import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { countRequest, faultOn, hasFaults, requestsStandStill } from './faults.ts';

const LOOK_MS = 50;
const WORK = /^\/(v1\/(chat\/)?completions|generate)\b/;

type Handle = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

/** Applies the faults of this process to a handler: before it runs, and to each piece that it writes. */
export const interfering = (handle: Handle): Handle =>
  hasFaults ? (request, response) => interfere(handle, request, response) : handle;

async function interfere(handle: Handle, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = request.url ?? '/';
  const works = request.method === 'POST' && WORK.test(path);
  if (works) countRequest();
  const refused = faultOn('refuse', path) ?? faultOn('never-ready');
  if (refused) {
    if (refused.status === 'connection') request.socket.destroy();
    else {
      const text = JSON.stringify({ error: { message: 'a fault of the simulator', code: refused.status } });
      response.writeHead(refused.status, { 'content-type': 'application/json' }).end(text);
    }
    return;
  }
  if (works && requestsStandStill(path)) return;
  const slow = faultOn('slow', path);
  if (slow) {
    await sleep(slow.delay_ms);
    if (response.destroyed) return;
    writeSlowly(response, slow.delay_ms);
  }
  const broken = works ? faultOn('stream-error', path) : undefined;
  if (broken) breakAfter(response, broken.chunk, broken.how);
  await handle(request, response);
}

/** Delays each piece after the one before it. */
function writeSlowly(response: ServerResponse, delayMs: number): void {
  const write = response.write.bind(response);
  const end = response.end.bind(response);
  let before = Promise.resolve();
  const later = (run: () => unknown): void => {
    before = before.then(async () => {
      await sleep(delayMs);
      if (!response.destroyed) run();
    });
  };
  response.write = (...piece: unknown[]): boolean => {
    later(() => write(...(piece as [string])));
    return true;
  };
  response.end = (...piece: unknown[]): ServerResponse => {
    later(() => end(...(piece as [string])));
    return response;
  };
}

const ENDS = {
  error:
    'data: {"error":{"message":"a fault of the simulator","type":"internal_error","code":500}}\n\ndata: [DONE]\n\n',
  event: 'event: error\ndata: {"message":"a fault of the simulator"}\n\n',
};

function breakAfter(response: ServerResponse, chunks: number, how: 'error' | 'event' | 'cut'): void {
  const write = response.write.bind(response);
  const end = response.end.bind(response);
  let written = 0;
  let broken = false;
  const isDue = (): boolean => {
    if (broken || written++ < chunks) return broken;
    broken = true;
    if (how === 'cut') response.destroy();
    else end(ENDS[how]);
    return true;
  };
  response.write = (...piece: unknown[]): boolean => isDue() || write(...(piece as [string]));
  response.end = (...piece: unknown[]): ServerResponse => (isDue() ? response : end(...(piece as [string])));
}

/** Closes the port while a fault refuses connections, and opens it again afterwards. */
export function listenByFaults(server: Server, host: string, port: number): void {
  if (!hasFaults) return;
  // This timer keeps the process alive while it does not listen.
  setInterval(() => {
    const refuses = faultOn('refuse')?.status === 'connection';
    if (refuses && server.listening) {
      server.close();
      server.closeAllConnections();
    } else if (!refuses && !server.listening) server.listen({ host, port, exclusive: true });
  }, LOOK_MS);
}
