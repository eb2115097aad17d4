import { connect } from 'node:net';
import { Fatal } from './fatal.ts';
import { connectAtStart, Unreachable } from './startup-connection.ts';

const LOGIN_MS = 10_000;

/**
 * Logs in to NATS as Dynamo does, and stays connected. Without a configured login Dynamo is user `user` with
 * password `user`. It retries for a while when the server cannot be reached, and ends at once when the server
 * refuses the login (lib/runtime/src/transports/nats.rs of 1.6.1).
 */
export async function logInToNats(): Promise<void> {
  const { NATS_SERVER, NATS_AUTH_USERNAME: user = 'user', NATS_AUTH_PASSWORD: pass = 'user' } = process.env;
  if (!NATS_SERVER) return;
  const { hostname, port } = new URL(NATS_SERVER);
  const to = { host: hostname, port: Number(port || 4222) };
  await connectAtStart({ name: 'NATS', connect: () => logIn(to, { user, pass }), counts: true });
}

function logIn(
  to: { host: string; port: number },
  credentials: { user: string; pass: string },
): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(to);
    let isDecided = false;
    const decide = (decision: () => void): void => {
      if (isDecided) return;
      isDecided = true;
      clearTimeout(timer);
      decision();
    };
    const unreachable = (why: string): void =>
      decide(() => {
        socket.destroy();
        reject(new Unreachable(why));
      });
    const refused = (why: string): void =>
      decide(() => {
        process.stderr.write(`ERROR async_nats::connector: ${why}\n`);
        reject(new Fatal('Exception: Failed to connect to NATS', { traceback: true }));
      });
    const timer = setTimeout(() => unreachable('timed out'), LOGIN_MS);
    // After the login Dynamo survives a broken connection.
    socket.on('error', (error) => unreachable(error.message));
    socket.once('close', () => refused('connection closed unexpectedly'));
    let heard = '';
    socket.setEncoding('utf8').on('data', (text: string) => {
      heard = (heard + text).slice(-8_192);
      if (/^INFO /m.test(heard) && !heard.includes('asked')) {
        socket.write(
          `CONNECT ${JSON.stringify({ verbose: false, ...credentials, lang: 'node' })}\r\nPING\r\n`,
        );
        heard = 'asked ';
      } else if (heard.includes('-ERR')) {
        refused(/-ERR '?([^'\r]*)/.exec(heard)?.[1]?.toLowerCase() ?? 'refused');
      } else if (heard.includes('PONG')) decide(resolve);
      // The server sends a PING each second and expects a PONG.
      if (/^PING\r?$/m.test(text)) socket.write('PONG\r\n');
    });
    socket.unref();
  });
}
