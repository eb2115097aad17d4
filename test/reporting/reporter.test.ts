import { once } from 'node:events';
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import type { SrtEvent } from '../../src/messages/events/events.ts';
import { Reporter } from '../../src/reporting/reporter.ts';
import { until } from '../support/bus.ts';
import { madeJob, wholeRun } from './made.ts';

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

/** A receiver of webhooks and of the status, a job that reports to it, and its events. */
async function reported() {
  const heard: string[] = [];
  const lines: string[] = [];
  let isAway = false;
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (piece) => {
      text += piece;
    });
    request.on('end', () => {
      if (!isAway) {
        const { type, status } = JSON.parse(text) as { type?: string; status?: string };
        heard.push(type ?? status ?? 'POST');
      }
      response.writeHead(isAway ? 503 : 200).end('{}');
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const jobDir = mkdtempSync(join(tmpdir(), 'srtctl-reporter-'));
  ends.push(() => {
    server.closeAllConnections();
    server.close();
    rmSync(jobDir, { recursive: true, force: true });
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const job = madeJob({ status: { endpoint: url }, webhooks: [{ url: `${url}/a-secret-path` }] }, jobDir);
  const log = { warn: (...all: unknown[]) => lines.push(JSON.stringify(all)), info: () => undefined };
  return {
    ...{ heard, lines, jobDir },
    away(is: boolean): void {
      isAway = is;
    },
    reporter: (env: NodeJS.ProcessEnv = { SRTCTL_WEBHOOK_SECRET: 'key' }) =>
      new Reporter(job, env, log as never),
    write(events: readonly SrtEvent[]): void {
      for (const event of events) appendFileSync(join(jobDir, 'events.jsonl'), `${JSON.stringify(event)}\n`);
    },
  };
}

it('a reporter after another one repeats no webhook, and sends the newest status alone', async () => {
  const { heard, jobDir, reporter, write } = await reported();
  const events = wholeRun(0);
  write(events.slice(0, 3));
  const first = reporter();
  first.start();
  await first.finish(5_000);
  expect(heard.sort()).toEqual(['job.started', 'point.started', 'workers']);
  expect(JSON.parse(readFileSync(join(jobDir, 'reporting.json'), 'utf8'))).toMatchObject({ v: 1 });
  heard.length = 0;
  write(events.slice(3));
  const second = reporter();
  second.start();
  await second.finish(5_000);
  expect(heard.filter((text) => text.includes('.'))).toEqual(['point.finished', 'job.finished']);
  expect(heard.filter((text) => !text.includes('.'))).toEqual(['completed']);
});

it('a receiver that was away gets everything in order when it is back', async () => {
  const { away, heard, lines, reporter, write } = await reported();
  away(true);
  write(wholeRun(1));
  const only = reporter();
  only.start();
  await until('a failed try', async () => lines.length >= 2);
  away(false);
  await only.finish(10_000);
  expect(heard.filter((text) => text.includes('.'))).toEqual([
    ...['job.started', 'point.started', 'point.finished', 'job.finished'],
  ]);
  expect(heard.filter((text) => !text.includes('.')).at(-1)).toBe('failed');
  expect(lines.join('')).not.toContain('a-secret-path');
});

it('without its key a webhook gets nothing, and the log says which variable is missing', async () => {
  const { heard, lines, reporter, write } = await reported();
  write(wholeRun(0));
  const only = reporter({});
  only.start();
  await only.finish(5_000);
  expect(heard).toEqual(['completed']);
  expect(lines.join('')).toContain('SRTCTL_WEBHOOK_SECRET');
});
