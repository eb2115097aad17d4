import { readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { parse } from 'yaml';
import * as z from 'zod';
import { bindAddress } from '../common/argv.ts';
import { clickOptions } from '../common/click.ts';
import { Fatal } from '../common/fatal.ts';
import { pathOf, readBody, sendError, sendJson, sendText, serve } from '../common/http.ts';
import { counted, withFields } from './dispatch.ts';
import { policyOf, type Target } from './policy.ts';
import { proxy, send, whenGone } from './upstream.ts';

const serversSchema = z.looseObject({ urls: z.array(z.string()).default([]) });
const configSchema = z.looseObject({
  hostname: z.string().default('localhost'),
  port: z.number().int().default(8_000),
  context_servers: serversSchema,
  generation_servers: serversSchema,
});

/** Options of `trtllm-serve disaggregated` (tensorrt_llm/commands/serve.py of 1.2); it has no `--config`. */
const OPTIONS: Readonly<Record<string, readonly string[]>> = {
  config_file: ['-c', '--config_file'],
  metadata_server_config_file: ['-m', '--metadata_server_config_file'],
  server_start_timeout: ['-t', '--server_start_timeout'],
  request_timeout: ['-r', '--request_timeout'],
  log_level: ['-l', '--log_level'],
  metrics_log_interval: ['--metrics-log-interval'],
};

/**
 * `trtllm-serve disaggregated`: sends each request first to a context server, then to a generation server.
 */
export async function runDisaggregated(argv: readonly string[]): Promise<void> {
  const { config_file: file } = clickOptions('trtllm-serve disaggregated [OPTIONS]', OPTIONS, argv);
  if (file === undefined)
    throw new Fatal("TypeError: 'NoneType' object is not iterable", { traceback: true });
  const config = configSchema.parse(parse(readFileSync(file, 'utf8')));
  const targets = ({ urls }: { urls: string[] }) =>
    urls.map((url): Target => ({ url: new URL(`http://${url}`), load: 0 }));
  const [context, generation] = [targets(config.context_servers), targets(config.generation_servers)];
  const pick = policyOf('round_robin');
  process.on('SIGTERM', () => process.exit(0));
  await Promise.all([...context, ...generation].map(requireHealthy));
  await serve(bindAddress(config.hostname), config.port, async (request, response) => {
    const path = pathOf(request);
    if (path === '/health') return sendText(response, 200, '');
    if (path === '/v1/completions' || path === '/v1/chat/completions')
      return both(path, await readBody(request), response);
    if (path === '/version') return sendJson(response, 200, { version: '1.2.0' });
    if (path === '/cluster_info') return sendJson(response, 200, { is_ready: true });
    // The real router has no list of models.
    return sendJson(response, 404, { detail: 'Not Found' });
  });
  process.stdout.write(`trtllm-serve disaggregated listens on port ${config.port}\n`);

  async function both(path: string, text: string, response: ServerResponse): Promise<void> {
    const [first, second] = [pick(context, ''), pick(generation, '')];
    const asContext = withFields(text, {
      stream: false,
      disaggregated_params: { request_type: 'context_only' },
    });
    const asGeneration = withFields(text, { disaggregated_params: { request_type: 'generation_only' } });
    if (!first || !second || asContext === undefined || asGeneration === undefined)
      return sendError(response, first && second ? 400 : 503, 'no servers, or a body that is not an object');
    const signal = whenGone(response);
    await counted([first, second], response, async () => {
      try {
        const prefilled = await send({ url: first.url, method: 'POST', path, body: asContext, signal });
        prefilled.resume();
        if (prefilled.statusCode !== 200)
          return sendError(response, 500, `context server answers HTTP ${prefilled.statusCode}`);
      } catch (error) {
        if (!signal.aborted) sendError(response, 500, `context server ${first.url.host}: ${String(error)}`);
        return;
      }
      await proxy({ url: second.url, method: 'POST', path, body: asGeneration, signal }, response, 500);
    });
  }
}

/** The real router does not wait for servers that are not there. */
async function requireHealthy({ url }: Target): Promise<void> {
  const answer = await fetch(new URL('/health', url)).catch(() => undefined);
  if (!answer?.ok)
    throw new Fatal(`RuntimeError: server ${url.host} is not ready: ${answer?.status ?? 'no answer'}`, {
      traceback: true,
    });
}
