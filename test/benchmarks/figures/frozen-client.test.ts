import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { resultFileOf } from '../../../src/benchmarks/loadgen/config.ts';
import { servingResultSchema } from '../../../src/messages/job-directory/serving-result.ts';
import { DONE, data } from '../../support/odd-servers.ts';

const OSL = 8;
/** Longer than a client may stand still by default. */
const FROZEN_MS = 1_300;

it('a load generator that was stopped for a while says that its figures are not valid, and exits with 1', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
  let frozen: Promise<unknown> | undefined;
  let kill: (signal: NodeJS.Signals) => void = () => {};
  const freeze = async () => {
    kill('SIGSTOP');
    await setTimeout(FROZEN_MS);
    kill('SIGCONT');
  };
  const server = createServer((request, response) => {
    if (request.url === '/v1/models') {
      response.end(JSON.stringify({ data: [{ id: 'served' }] }));
      return;
    }
    request.resume().once('end', async () => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      // The load generator's first request asks for fewer tokens.
      response.write(data({ choices: [{ text: ' a' }] }));
      await setTimeout(5);
      if (++answered === 3) frozen = freeze();
      const rest = answered === 1 ? 3 : OSL - 1;
      for (let token = 0; token < rest; token++) response.write(data({ choices: [{ text: ' a' }] }));
      response.write(data({ choices: [], usage: { prompt_tokens: 30, completion_tokens: rest + 1 } }));
      response.end(DONE);
    });
  });
  let answered = 0;
  try {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const config = {
      v: 1,
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      ...{
        endpoint: '/v1/completions',
        model: 'served',
        mustList: true,
        modelPath: null,
        takesTokenIds: true,
      },
      ...{ isl: 30, osl: OSL, randomRangeRatio: 1, seed: 1, concurrencies: [2], requestRate: 'inf' },
      ...{ promptsMultiplier: 20, warmupMultiplier: 0, requestTimeoutMs: 60_000 },
      ...{ resultDir: dir, progressFile: join(dir, 'progress.json') },
    };
    await writeFile(join(dir, 'loadgen.json'), JSON.stringify(config));
    const argv = ['dist/loadgen.js', '--config', join(dir, 'loadgen.json'), '--judge'];
    const child = spawn(process.execPath, argv, { stdio: ['ignore', 'ignore', 'pipe'] });
    kill = (signal) => void child.kill(signal);
    let said = '';
    child.stderr.on('data', (text) => {
      said += text;
    });
    const [code] = await once(child, 'close');
    await frozen;
    expect(code, said).toBe(1);
    const file = await readFile(join(dir, resultFileOf(2)), 'utf8');
    const { validity, completed } = servingResultSchema.parse(JSON.parse(file));
    expect(completed).toBe(40);
    expect(validity?.problems).toContainEqual({
      what: 'client_frozen_ms',
      text: expect.stringMatching(/^the load generator stood still for \d+\.\d s$/),
      limit: 1_000,
      value: expect.any(Number),
    });
  } finally {
    server.closeAllConnections();
    server.close();
    await rm(dir, { recursive: true, force: true });
  }
});
