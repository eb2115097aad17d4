import { connect } from 'node:net';
import { Fatal } from './fatal.ts';

const LOGIN_MS = 10_000;

/**
 * Logs in to NATS as Dynamo does, and stays connected. Told nothing, Dynamo is user `user` with password `user`; a login
 * that is refused, or a server that is not there, ends the worker (lib/runtime/src/transports/nats.rs of 1.6.1).
 */
export function logInToNats(): Promise<void> {
  const { NATS_SERVER, NATS_AUTH_USERNAME: user = 'user', NATS_AUTH_PASSWORD: pass = 'user' } = process.env;
  if (!NATS_SERVER) return Promise.resolve();
  const { hostname, port } = new URL(NATS_SERVER);
  return new Promise((resolve, reject) => {
    const refuse = (why: string): void =>
      reject(new Fatal(`Exception: failed to connect to NATS: ${why}`, { traceback: true }));
    const socket = connect({ host: hostname, port: Number(port || 4222) });
    const timer = setTimeout(() => {
      socket.destroy();
      refuse('timed out');
    }, LOGIN_MS);
    socket.once('error', (error) => refuse(error.message));
    socket.once('close', () => refuse('the connection was closed'));
    let heard = '';
    socket.setEncoding('utf8').on('data', (text: string) => {
      heard = (heard + text).slice(-8_192);
      if (/^INFO /m.test(heard) && !heard.includes('asked')) {
        socket.write(`CONNECT ${JSON.stringify({ verbose: false, user, pass, lang: 'node' })}\r\nPING\r\n`);
        heard = 'asked ';
      } else if (heard.includes('-ERR')) {
        refuse(/-ERR '?([^'\r]*)/.exec(heard)?.[1] ?? 'refused');
      } else if (heard.includes('PONG')) {
        clearTimeout(timer);
        resolve();
      }
      // The server asks for a sign of life each second.
      if (/^PING\r?$/m.test(text)) socket.write('PONG\r\n');
    });
    socket.unref();
  });
}
