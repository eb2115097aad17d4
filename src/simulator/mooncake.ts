import { Arguments, bindAddress } from './argv.ts';
import { sendError, sendText, serve } from './http.ts';

const PORTS = { port: 50_051, http_metadata_server_port: 8080, metrics_port: 9003 };

/** mooncake_master: it listens where it is told to and keeps nothing, since simulated engines store nothing. */
export async function runMooncakeMaster(argv: readonly string[]): Promise<void> {
  const options = new Arguments(argv);
  for (const [name, port] of Object.entries(PORTS)) {
    await serve(bindAddress('0.0.0.0'), options.integer(port, name), ({ url }, response) =>
      url === '/health' ? sendText(response, 200, 'OK') : sendError(response, 404, 'nothing is stored here'),
    );
  }
}
