import { readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { parse } from 'yaml';
import * as z from 'zod';
import { Arguments, bindAddress } from './argv.ts';
import { counted, withFields } from './dispatch.ts';
import { Fatal } from './fatal.ts';
import { pathOf, readBody, sendError, sendJson, sendText, serve } from './http.ts';
import { policyOf, type Target } from './policy.ts';
import { proxy, send, whenGone } from './upstream.ts';

const serversSchema = z.looseObject({ urls: z.array(z.string()).default([]) });
const configSchema = z.looseObject({
  hostname: z.string().default('localhost'),
  port: z.number().int().default(8_000),
  context_servers: serversSchema,
  generation_servers: serversSchema,
});

/** `trtllm-serve disaggregated`: each request first to a context server, then to a generation server. */
export async function runDisaggregated(argv: readonly string[]): Promise<void> {
  const file = new Arguments(argv).text('config', 'config_file');
  if (file === undefined) throw new Fatal("Error: Missing option '--config'.", { exitCode: 2 });
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
    const [any] = generation;
    if (!any || request.method !== 'GET') return sendJson(response, 404, { detail: 'Not Found' });
    return proxy({ url: any.url, method: 'GET', path, body: '', signal: whenGone(response) }, response, 502);
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

/** It does not wait for servers that are not there. */
async function requireHealthy({ url }: Target): Promise<void> {
  const answer = await fetch(new URL('/health', url)).catch(() => undefined);
  if (!answer?.ok)
    throw new Fatal(`RuntimeError: server ${url.host} is not ready: ${answer?.status ?? 'no answer'}`, {
      traceback: true,
    });
}
