import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Webhook } from 'standardwebhooks';
import { expect, it, onTestFinished } from 'vitest';
import { s3Server } from '../reporting/s3-server.ts';
import { until } from '../support/bus.ts';
import { useJobs } from '../support/jobs.ts';
import { writeRecipe } from './recipe.ts';

const jobs = useJobs();
const SECRET = `whsec_${Buffer.from('a key of thirty-two bytes in all.').toString('base64')}`;

/** A server that keeps all requests, and answers them with `answer`. */
async function keeper(answer: number | 'never') {
  const requests: { path: string; headers: IncomingHttpHeaders; body: Buffer }[] = [];
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      requests.push({ path: request.url ?? '', headers: request.headers, body: Buffer.concat(pieces) });
      if (answer !== 'never') response.writeHead(answer).end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { requests, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

it('a job is reported to everyone whom its recipe names, also when one of them never answers', async () => {
  const database = join(jobs.dir, 'status.db');
  const server = await jobs.start(['status-server', '--listen', '127.0.0.1:0', '--database', database], {
    env: { SRTCTL_STATUS_TOKEN: 't0ken-of-the-test' },
  });
  const collector = await until('the status server', async () => /http:\S+/.exec(server.stdout)?.[0]);
  const [hook, otel, silent, s3] = [
    await keeper(204),
    await keeper(200),
    await keeper('never'),
    await s3Server(),
  ];
  onTestFinished(s3.close);
  const recipe = await writeRecipe(jobs.dir);
  await writeFile(
    recipe,
    `${await readFile(recipe, 'utf8')}
reporting:
  status: {endpoints: ['${collector}', '${silent.url}'], job_id_prefix: 'here:'}
  webhooks: [{url: '${hook.url}/hook'}]
  s3: {bucket: results, endpoint_url: '${s3.url}'}
observability: {enable_otel: true, otel_endpoint: '${otel.url}'}
`,
  );
  const job = await jobs.apply(recipe, {
    env: {
      ...{ SRTCTL_STATUS_TOKEN: 't0ken-of-the-test', SRTCTL_WEBHOOK_SECRET: SECRET },
      ...{ AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 's3cret-of-the-test' },
    },
  });
  const environment = await readFile(`/proc/${await job.pidOf('decode-0-0')}/environ`, 'utf8');
  expect(environment).toContain('PATH=');
  expect(environment).not.toContain('t0ken-of-the-test');
  expect(environment).not.toContain(SECRET);

  expect(await job.ended(), job.said).toBe(0);
  const jobId = await job.jobId();
  const answer = await fetch(`${collector}/api/jobs/here%3A${jobId}`, {
    headers: { authorization: 'Bearer t0ken-of-the-test' },
  });
  const place = `results/srtslurm/${new Date().toISOString().slice(0, 10)}/${jobId}/`;
  expect(await answer.json()).toMatchObject({
    ...{ job_id: `here:${jobId}`, status: 'completed', exit_code: 0, logs_url: `s3://${place}` },
    benchmark_results: { points: [{ status: 'done', serving: [{ concurrency: 2 }] }] },
  });
  const messages = hook.requests.map(({ headers, body }) =>
    new Webhook(SECRET).verify(body.toString('utf8'), {
      'webhook-id': String(headers['webhook-id']),
      'webhook-timestamp': String(headers['webhook-timestamp']),
      'webhook-signature': String(headers['webhook-signature']),
    }),
  );
  expect(messages).toMatchObject(
    ['job.started', 'point.started', 'point.finished', 'job.finished'].map((type) => ({ type })),
  );
  const state = await readFile(join(await job.jobDir(), 'state.json'), 'utf8');
  expect(JSON.parse(s3.files.get(`${place}state.json`)?.body ?? '{}')).toEqual(JSON.parse(state));
  expect([...s3.files.keys()].filter((path) => /nk$|connection|credentials/.test(path))).toEqual([]);
  expect(otel.requests[0]).toMatchObject({ path: '/v1/traces' });
  expect(otel.requests[0]?.body.toString('latin1')).toContain(`job e2e-sglang`);
  // Anyone may send the trace again.
  const again = await jobs.start(['trace', await job.jobDir(), '--otlp', otel.url]);
  expect(await again.ended(), again.said).toBe(0);
  expect(otel.requests[1]?.body).toEqual(otel.requests[0]?.body);
  expect(silent.requests.length).toBeGreaterThan(0);
  const log = await readFile(join(await job.jobDir(), 'logs', `sweep_${jobId}.log`), 'utf8');
  expect(log).toContain('reports are lost');
  expect(log).not.toContain('t0ken-of-the-test');
});
