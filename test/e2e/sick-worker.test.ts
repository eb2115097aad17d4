import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { stringify } from 'yaml';
import { useJobs } from '../support/jobs.ts';

const jobs = useJobs();

/**
 * Replaces `vllm serve`: it streams tokens until the first request arrives, and then falls sick. `unhealthy`:
 * /health answers 503 and running requests continue. `mute`: /health answers 200 and no token follows.
 */
const SERVER = `#!/usr/bin/env node
import { createServer } from 'node:http';
const port = Number(process.argv[process.argv.indexOf('--port') + 1]);
const sick = process.env.SICK;
let since = 0;
createServer(async (request, response) => {
  if (request.url === '/health') return response.writeHead(sick === 'unhealthy' && since > 0 ? 503 : 200).end();
  if (request.url === '/v1/models') return response.writeHead(200).end('{"data":[{"id":"tiny"}]}');
  if (request.url === '/metrics') return response.writeHead(200).end('vllm:num_requests_running 0\\n');
  if (request.method !== 'POST' || !request.url.startsWith('/v1/')) return response.writeHead(404).end();
  let body = '';
  for await (const piece of request) body += piece;
  const { max_tokens: most = 1, stream } = JSON.parse(body);
  if (!stream) return response.writeHead(200).end('{"choices":[{"text":"x"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}');
  since ||= Date.now();
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (let token = 0; token < most && !response.destroyed; token++) {
    if (sick === 'mute' && token === 5) return;
    response.write('data: {"choices":[{"index":0,"text":" a"}]}\\n\\n');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  response.end('data: {"choices":[],"usage":{"prompt_tokens":8,"completion_tokens":' + most + '}}\\n\\ndata: [DONE]\\n\\n');
}).listen(port, process.env.SRTCTL_NODE_ADDRESS);
`;

async function start(sick: string, supervision: object) {
  const server = join(jobs.dir, 'serve.mjs');
  await writeFile(server, SERVER);
  await chmod(server, 0o755);
  const recipe = join(jobs.dir, `${sick}.yaml`);
  await writeFile(
    recipe,
    stringify({
      name: sick,
      model: { path: jobs.dir, container: 'none', precision: 'bf16' },
      resources: { gpu_type: 'h100', gpus_per_node: 1, agg_nodes: 1, agg_workers: 1 },
      frontend: { type: 'vllm', enable_multiple_frontends: false },
      backend: {
        type: 'vllm',
        vllm_serve_binary: server,
        aggregated_environment: { SICK: sick },
        vllm_config: { aggregated: { 'served-model-name': 'tiny' } },
      },
      benchmark: {
        ...{
          type: 'sa-bench',
          isl: 8,
          osl: 100_000,
          concurrencies: '2',
          num_prompts_mult: 1,
          num_warmup_mult: 0,
        },
        use_chat_template: false,
      },
      supervision,
    }),
  );
  return jobs.start(['apply', '-f', recipe, '--local']);
}

it('a worker whose health check fails while its requests continue has failed after unhealthy_after', async () => {
  const job = await start('unhealthy', { unhealthy_after: 3 });
  expect(await job.ended(), job.said).toBe(1);
  const [result] = await job.results();
  expect(result?.cause).toMatchObject({ process: 'agg-0-0', node: 'node1' });
  expect(result?.cause?.summary).toContain('unhealthy for 3 s: /health answers HTTP 503');
  await job.nothingLeft();
}, 90_000);

it('requests in flight without a token count as a hang, whatever the engine prints and reports', async () => {
  const job = await start('mute', { hung_after: 2 });
  expect(await job.ended(), job.said).toBe(1);
  const [result] = await job.results();
  expect(result?.cause?.summary).toMatch(/benchmark .*hung: 2 requests in flight and no token for 3 s/);
  await job.nothingLeft();
}, 90_000);
