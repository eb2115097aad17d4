import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { freePort } from '../../src/platform/local/local-platform.ts';
import { until } from '../support/bus.ts';
import { useJobs } from '../support/jobs.ts';
import { signal } from '../support/signal.ts';

const jobs = useJobs();
const strangers: ChildProcess[] = [];
afterEach(() => {
  for (const { pid } of strangers.splice(0)) if (pid !== undefined) signal(pid, 'SIGKILL');
});

/** Answers 200 to everything, as an engine would, on every address. */
const STRANGER = `
require('node:http').createServer((request, response) => {
  console.log('request', request.url);
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ data: [{ id: 'test/model' }], workers: [] }));
}).listen(Number(process.argv[1]), () => console.log('listens'));`;

async function stranger(port: number): Promise<{ pid: number; said: () => string }> {
  const child = spawn(process.execPath, ['-e', STRANGER, String(port)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  strangers.push(child);
  let said = '';
  child.stdout.on('data', (data) => {
    said += data;
  });
  await once(child.stdout, 'data');
  return { pid: child.pid ?? 0, said: () => said };
}

/** A recipe with one worker, which is the entry itself or has a router in front of it. */
async function writeRecipe(type: 'vllm' | 'sglang'): Promise<string> {
  const file = join(jobs.dir, `${type}.yaml`);
  const config = `${type}_config: { aggregated: { served-model-name: test/model } }`;
  await writeFile(
    file,
    `name: stranger
model: { path: test-model, container: test-image, precision: fp8 }
resources: { gpu_type: h100, gpus_per_node: 2, agg_nodes: 1, agg_workers: 1 }
frontend: { type: ${type}, enable_multiple_frontends: false }
backend: { type: ${type}, ${config} }
benchmark: { type: sa-bench, isl: 32, osl: 8, concurrencies: "1", num_prompts_mult: 4, num_warmup_mult: 1, use_chat_template: true }
`,
  );
  return file;
}

describe('a foreign program that answers as a healthy engine would', () => {
  it.each(['vllm', 'sglang'] as const)(
    'on the port of the entry is named before anything starts (%s)',
    async (type) => {
      const port = await freePort('127.0.0.1');
      const { pid, said } = await stranger(port);
      const job = await jobs.apply(await writeRecipe(type), { args: ['--port', String(port)] });
      expect(await job.ended(), job.said).toBe(1);
      const [result] = await job.results();
      expect(result).toMatchObject({ status: 'failed', benchmark: null });
      expect(result?.cause?.summary).toContain(`port ${port} of node1`);
      expect(result?.cause?.summary).toContain(`is taken by pid ${pid} of user`);
      const started = (await job.events()).filter(
        (event) => event.kind === 'process.transition' && event.to === 'starting',
      );
      expect(started).toEqual([]);
      expect(said()).not.toContain('request');
      await job.nothingLeft();
    },
    120_000,
  );

  it('of another job of this user is named with its job, and why blames the port and not NCCL', async () => {
    const port = await freePort('127.0.0.1');
    const file = join(jobs.dir, 'first.yaml');
    const listen = `require('node:net').createServer().listen(${port}, () => console.log('NCCL WARN listens'))`;
    await writeFile(
      file,
      `name: first
model: { path: test-model, container: test-image, precision: fp8 }
resources: { gpu_type: h100, gpus_per_node: 2, agg_nodes: 1, agg_workers: 1 }
frontend: { type: sglang, enable_multiple_frontends: false }
backend: { type: sglang, sglang_config: { aggregated: { served-model-name: test/model } } }
benchmark: { type: custom, command: ${JSON.stringify(`exec ${process.execPath} -e "${listen}"`)} }
`,
    );
    const first = await jobs.apply(file);
    await first.reached('benchmark', 'ready');
    await until(
      'the first job listens',
      () =>
        new Promise<boolean>((settle) => {
          const socket = connect(port, '127.0.0.1', () => settle(true));
          socket.once('error', () => settle(false)).unref();
        }),
    );
    const second = await jobs.apply(await writeRecipe('sglang'), { args: ['--port', String(port)] });
    expect(await second.ended(), second.said).toBe(1);
    const [result] = await second.results();
    const named = new RegExp(
      `^port ${port} of node1, which frontend-0 needs \\(http\\), is taken by pid \\d+ of user \\S+, job ${await first.jobId()}: `,
    );
    expect(result?.cause).toMatchObject({
      summary: expect.stringMatching(named),
      signature: 'port-in-use',
      advice: expect.stringContaining('cannot use the same ports'),
    });
    const events = await second.events();
    expect(events.filter((event) => event.kind === 'process.transition' && event.to === 'starting')).toEqual(
      [],
    );
    const { stdout } = jobs.run(second.outputs, ['why', 'latest']);
    expect(stdout).toContain(`, job ${await first.jobId()}: `);
    expect(stdout).not.toContain('NCCL says');
    await second.nothingLeft();
  }, 120_000);

  it('that takes the port while the engine loads is never measured', async () => {
    const port = await freePort('127.0.0.1');
    const recipe = await writeRecipe('vllm');
    const job = await jobs.apply(recipe, {
      args: ['--port', String(port)],
      env: { SRTCTL_SIM_LOAD_MS: '20000' },
    });
    await job.reached('agg-0-0', 'starting');
    const { said } = await stranger(port);
    expect(await job.ended(), job.said).toBe(1);
    const [result] = await job.results();
    expect(result).toMatchObject({ status: 'failed', benchmark: null });
    expect(result?.cause?.process).toBe('agg-0-0');
    expect(said()).not.toContain('/v1/');
    await job.nothingLeft();
  }, 120_000);

  it('does not disturb a job that takes free ports', async () => {
    const { said } = await stranger(await freePort('127.0.0.1'));
    const job = await jobs.apply(await writeRecipe('sglang'));
    expect(await job.ended(), job.said).toBe(0);
    expect(said()).not.toContain('request');
  }, 120_000);
});
