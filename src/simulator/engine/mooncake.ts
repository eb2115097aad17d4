import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Arguments, bindAddress, setting } from '../common/argv.ts';
import { readBody, serve } from '../common/http.ts';

/** Mooncake 0.3.13 opens its other two ports this long after its metadata server. */
const START_MS = 2_000;

const HEALTH = {
  ...{ status: 'ok', role: 'leader', ha_state: 'serving', service_ready: true },
  ...{ leader_address: null, view_version: null },
};
const METRICS = `# HELP master_allocated_bytes Total memory bytes currently allocated across all segments
# TYPE master_allocated_bytes gauge
master_allocated_bytes 0
`;

/**
 * mooncake_master 0.3.13: a metadata server, then metrics, and last the port of the store itself, which
 * stores nothing here because simulated engines do not ask.
 */
export async function runMooncakeMaster(argv: readonly string[]): Promise<void> {
  const options = new Arguments(argv);
  const everywhere = bindAddress('0.0.0.0');
  process.on('SIGTERM', () => process.exit(0));
  process.stderr.write('Master service started\n');
  if (options.text('enable_http_metadata_server') === 'true')
    await serve(everywhere, options.integer(8080, 'http_metadata_server_port'), metadataServer());
  await sleep(setting('SRTCTL_SIM_LOAD_MS', START_MS));
  await serve(everywhere, options.integer(9003, 'metrics_port'), answerMetrics);
  await serve(everywhere, options.integer(50_051, 'rpc_port', 'port'), ({ socket }) => void socket.destroy());
}

function metadataServer() {
  const kept = new Map<string, string>();
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://mooncake');
    if (pathname === '/health') return sendBare(response, 200, 'OK');
    if (pathname !== '/metadata') return sendBare(response, 404, '404 Not Found');
    const key = searchParams.get('key') ?? '';
    switch (request.method) {
      case 'PUT':
        kept.set(key, await readBody(request));
        return sendBare(response, 200, 'metadata updated');
      case 'DELETE':
        return kept.delete(key)
          ? sendBare(response, 200, 'metadata deleted')
          : sendBare(response, 404, 'metadata not found');
      default: {
        const value = kept.get(key);
        return value === undefined
          ? sendBare(response, 404, 'metadata not found')
          : sendBare(response, 200, value, 'application/json');
      }
    }
  };
}

function answerMetrics({ url }: IncomingMessage, response: ServerResponse): void {
  if (url === '/metrics') sendBare(response, 200, METRICS, 'text/plain; version=0.0.4');
  else if (url === '/health')
    sendBare(response, 200, JSON.stringify(HEALTH), 'application/json; charset=utf-8');
  else sendBare(response, 404, '404 Not Found');
}

/** The real HTTP server sends most texts without a content type. */
function sendBare(response: ServerResponse, status: number, text: string, type?: string): void {
  response
    .writeHead(status, {
      'content-length': Buffer.byteLength(text),
      ...(type === undefined ? {} : { 'content-type': type }),
    })
    .end(text);
}
