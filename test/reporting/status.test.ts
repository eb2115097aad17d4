import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { statusServer } from '../../src/reporting/server/server.ts';
import { JobStore } from '../../src/reporting/server/store.ts';
import { announce, collectors } from '../../src/reporting/status/client.ts';
import { Lifecycle } from '../../src/reporting/status/lifecycle.ts';
import { madeJob, wholeRun } from './made.ts';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function listening(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ends.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A status server with a new database. */
async function started(token?: string) {
  const directory = mkdtempSync(join(tmpdir(), 'srtctl-status-'));
  const path = join(directory, 'jobs.db');
  const store = new JobStore(path);
  ends.push(() => {
    store.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return { url: await listening(statusServer(store, token)), store, path };
}

const never = new AbortController().signal;
const get = async (url: string, init?: RequestInit) => {
  const response = await fetch(url, init);
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
};

describe('the status of a job', () => {
  const statuses = (exitCode: number, why?: string) => {
    const lifecycle = new Lifecycle(madeJob());
    return wholeRun(exitCode, why).flatMap((event) => lifecycle.take(event) ?? []);
  };

  it('goes from its start over the stages of its points to its end', () => {
    const all = statuses(0);
    expect(all.map(({ status }) => status)).toEqual([
      ...['starting', 'workers', 'frontend', 'benchmark', 'benchmark', 'completed'],
    ]);
    expect(all[0]).toMatchObject({
      started_at: '2026-11-30T10:01:00.000Z',
      metadata: { model: { path: 'qwen3' }, backend_type: 'sglang', head_node: 'n1' },
    });
    expect(all.at(-1)).toMatchObject({
      ...{ exit_code: 0, stage: 'cleanup' },
      benchmark_results: { points: [{ ordinal: 0, status: 'done' }] },
    });
  });

  it('keeps the time of its start when another coordinator takes over', () => {
    const lifecycle = new Lifecycle(madeJob());
    const run = wholeRun(0);
    const again = [...run.slice(0, 6), ...run].flatMap((event) => lifecycle.take(event) ?? []);
    expect(again.filter(({ started_at: started }) => started !== undefined)).toHaveLength(1);
    expect(again[4]).toMatchObject({ status: 'benchmark', message: 'Another coordinator has taken over' });
  });

  it('is failed, or timeout where the allocation ends', () => {
    expect(statuses(1, 'decode-0 has ended').at(-1)).toMatchObject({
      ...{ status: 'failed', exit_code: 1, message: 'decode-0 has ended' },
    });
    expect(statuses(124).at(-1)).toMatchObject({ status: 'timeout', exit_code: 124 });
  });
});

describe('a status server', () => {
  it('takes a job that another release reports, lists it, and keeps its history', async () => {
    const { url } = await started();
    const job = madeJob({ status: { endpoint: `${url}/`, job_id_prefix: 'east:' } });
    const [collector] = collectors(job, {});
    const lifecycle = new Lifecycle(job);
    for (const event of wholeRun(0)) {
      const update = lifecycle.take(event);
      if (update) expect(await collector?.update(update, never)).toBe('done');
    }
    expect(await collector?.update(lifecycle.uploaded('s3://b/p/', '2026-11-30T11:00:00Z'), never)).toBe(
      'done',
    );
    const { body } = await get(`${url}/api/jobs?status=completed&cluster=east`);
    expect(body).toMatchObject({
      ...{ total: 1, page: 1, per_page: 50 },
      jobs: [
        { job_id: 'east:77', job_name: 'small', status: 'completed', stage: 'cleanup', cluster: 'east' },
      ],
    });
    expect((await get(`${url}/api/jobs?status=failed`)).body).toMatchObject({ total: 0, jobs: [] });
    const whole = await get(`${url}/api/jobs/${encodeURIComponent('east:77')}`);
    expect(whole.body).toMatchObject({
      ...{
        exit_code: 0,
        logs_url: 's3://b/p/',
        recipe: 'recipe.yaml',
        started_at: '2026-11-30T10:01:00.000Z',
      },
      metadata: { tags: ['nightly'], model: { path: 'qwen3' }, progress: { done: 1 } },
    });
    expect(whole.body.events).toHaveLength(8);
    const page = await (await fetch(`${url}/`)).text();
    expect(page).toContain('<a href="/api/jobs/east%3A77">east:77</a>');
  });

  it('lets no request in without the token', async () => {
    const { url } = await started('s3cret');
    const job = madeJob({ status: { endpoint: url, token_env: 'MY_TOKEN' } });
    expect(await announce(job, { MY_TOKEN: 's3cret' }, 5_000)).toEqual([]);
    expect(await announce(job, { MY_TOKEN: 'other' }, 5_000)).toEqual([expect.stringContaining('HTTP 401')]);
    expect((await get(`${url}/api/jobs`)).status).toBe(401);
    const headers = { authorization: `Basic ${Buffer.from('me:s3cret').toString('base64')}` };
    expect((await get(`${url}/api/jobs`, { headers })).status).toBe(200);
  });

  it('refuses what is no report, and escapes what a report says', async () => {
    const { url } = await started();
    const post = (body: string) => get(`${url}/api/jobs`, { method: 'POST', body });
    expect((await post('{')).status).toBe(422);
    expect((await post('{"job_id":"a"}')).status).toBe(422);
    const put = { method: 'PUT', body: '{"status":"x"}' };
    expect((await get(`${url}/api/jobs/unknown`, put)).status).toBe(404);
    const job = { job_id: '<b>', job_name: '<script>', submitted_at: 'now' };
    expect((await post(JSON.stringify(job))).status).toBe(201);
    const page = await (await fetch(`${url}/`)).text();
    expect(page).toContain('&lt;script&gt;');
    expect(page).not.toContain('<script>');
  });

  it('has its jobs still after it was killed', async () => {
    const { url, path } = await started();
    await announce(madeJob({ status: { endpoint: url } }), {}, 5_000);
    // A killed process does not close its database.
    const again = new JobStore(path);
    expect(again.get('77')).toMatchObject({ job_name: 'small', status: 'submitted' });
    again.close();
  });
});

describe('a job that is submitted', () => {
  it('is not kept waiting by a collector that is away, or does not answer', async () => {
    const silent = await listening(createServer(() => undefined));
    const job = madeJob({ status: { endpoints: ['http://127.0.0.1:1', silent] } });
    const said = await announce(job, {}, 50);
    expect(said).toHaveLength(2);
    expect(said[0]).toContain('127.0.0.1:1: ');
  });

  it('does not follow a collector to another place with its token', async () => {
    const heard: (string | undefined)[] = [];
    const other = await listening(
      createServer((request, response) => {
        heard.push(request.headers.authorization);
        response.end('{}');
      }),
    );
    const first = await listening(
      createServer((_, response) => response.writeHead(307, { location: `${other}/api/jobs` }).end()),
    );
    const job = madeJob({ status: { endpoint: first } });
    expect(await announce(job, { SRTCTL_STATUS_TOKEN: 's3cret' }, 2_000)).toHaveLength(1);
    expect(heard).toEqual([]);
  });
});
