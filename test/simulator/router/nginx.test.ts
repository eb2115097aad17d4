import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { parseConf } from '../../../src/simulator/router/nginx.ts';
import { until } from '../../support/bus.ts';
import { destroyAll, engineArgv, events, healthy, metric, nodeAddress, post, start } from '../stand-ins.ts';

const [node, proxyNode] = [nodeAddress(10), nodeAddress(11)] as const;
const proxyUrl = `http://${proxyNode}:8080`;
let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));
afterEach(destroyAll);

async function startNginx(upstream: string): Promise<void> {
  const file = join(directory, 'nginx.conf');
  await writeFile(
    file,
    `worker_processes auto; # as many as cores
events { worker_connections 1024; }
http {
  upstream routers { ${upstream} }
  server {
    listen 0.0.0.0:8080;
    location / {
      proxy_pass http://routers;
      proxy_set_header Connection "";
    }
  }
}`,
  );
  start(proxyNode, ['nginx', '-c', file, '-g', 'daemon off;']);
  // Any answer shows that nginx listens.
  await until('an answer', async () => fetch(`${proxyUrl}/health`).catch(() => undefined));
}

describe('nginx in front of several routers', () => {
  it('forwards requests in turn, streams included', async () => {
    for (const port of [6100, 6132]) start(node, engineArgv(port));
    for (const port of [6100, 6132]) await healthy(`http://${node}:${port}/health`);
    await startNginx(`least_conn; keepalive 64; server ${node}:6100 max_fails=0; server ${node}:6132;`);
    const body = { prompt: 'a', max_tokens: 5, ignore_eos: true, stream: true };
    for (let n = 0; n < 4; n++) {
      const { done, chunks } = await events(await post(`${proxyUrl}/v1/completions`, body));
      expect(done && chunks.length > 0).toBe(true);
    }
    for (const port of [6100, 6132])
      expect(await metric(`http://${node}:${port}`, 'sglang:num_requests_total')).toBe(2);
  });

  it('skips an upstream that is down, and answers 502 when all are', async () => {
    await startNginx(`server ${node}:1; server ${node}:6100 fail_timeout=50ms;`);
    expect((await fetch(`${proxyUrl}/health`)).status).toBe(502);
    start(node, engineArgv(6100));
    await healthy(`http://${node}:6100/health`);
    await healthy(`${proxyUrl}/health`);
    for (let n = 0; n < 4; n++) expect((await fetch(`${proxyUrl}/health`)).status).toBe(200);
  });

  it('refuses a configuration file that does not exist', async () => {
    const nginx = start(proxyNode, ['nginx', '-c', join(directory, 'none.conf'), '-g', 'daemon off;']);
    expect(await nginx.ended()).toBe(1);
    expect(nginx.output).toContain('[emerg] open()');
  });

  it('parses nested blocks, comments and quotes', () => {
    expect(parseConf('a "b c" d; # e;\nf { g { h; } i \'j;\'; }')).toEqual([
      { words: ['a', 'b c', 'd'], block: [] },
      {
        words: ['f'],
        block: [
          { words: ['g'], block: [{ words: ['h'], block: [] }] },
          { words: ['i', 'j;'], block: [] },
        ],
      },
    ]);
  });
});
