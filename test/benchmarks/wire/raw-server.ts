import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';

/** Answers a request by hand: `request` is its head and body. */
export type Answering = (socket: Socket, request: string) => void;

export interface RawServer {
  readonly port: number;
  /** Heads and bodies as they came. */
  readonly requests: string[];
  /** Connections that were opened. */
  connections: number;
  close(): Promise<void>;
}

/** A server of bytes on a free port, which calls `answer` for each whole request of a connection. */
export async function rawServer(answer: Answering, tls?: TlsOptions): Promise<RawServer> {
  const sockets = new Set<Socket>();
  const state = { requests: [] as string[], connections: 0 };
  const onSocket = (socket: Socket): void => {
    state.connections++;
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    let text = '';
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1');
      for (let end = endOf(text); end >= 0 && end <= text.length; end = endOf(text)) {
        const request = text.slice(0, end);
        text = text.slice(end);
        state.requests.push(request);
        answer(socket, request);
      }
    });
  };
  const server: Server = tls ? createTlsServer(tls, onSocket) : createServer(onSocket);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return Object.assign(state, {
    port,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

/** Where the first request of `text` ends; -1 while its head has not. */
function endOf(text: string): number {
  const head = text.indexOf('\r\n\r\n');
  if (head < 0) return -1;
  const length = /\r\ncontent-length: (\d+)/i.exec(text.slice(0, head))?.[1] ?? '0';
  return head + 4 + Number(length);
}
