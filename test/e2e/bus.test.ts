import { spawn } from 'node:child_process';
import { mkdtemp, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { connect, nkeyAuthenticator } from 'nats';
import { expect, it } from 'vitest';
import { publicMessages } from '../../src/messages/events/public-messages.ts';
import { until } from '../support/bus.ts';
import { useJobs } from '../support/jobs.ts';
import { writeRecipe } from './recipe.ts';

const jobs = useJobs();

const schema = JSON.parse(
  await readFile(resolve(import.meta.dirname, '../../docs/reference/bus.schema.json'), 'utf8'),
);
const ajv = new Ajv2020({ strict: false, validateFormats: false });
ajv.addSchema(schema, 'bus');

/** The name of the message on a subject of a job. */
function nameOn(subject: string): string {
  const matches = publicMessages.filter(({ subject: pattern }) =>
    new RegExp(`^srt\\.[^.]+\\.${pattern.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^.]+')}$`).test(
      subject,
    ),
  );
  expect(
    matches.map(({ name }) => name),
    subject,
  ).toHaveLength(1);
  return matches[0]?.name ?? '';
}

it('a reader hears every public message of a run, each as its published schema says', async () => {
  const recipe = await writeRecipe(jobs.dir, { frontend: 'sglang', requests: 100_000 });
  const job = await jobs.apply(recipe, {
    args: ['--set', 'backend.sglang_config.decode.enable-metrics=true'],
  });
  await job.pointReached('deploying');
  const told = await jobs.start(['bus', await job.jobDir(), '--json']);
  expect(await told.ended(), told.said).toBe(0);
  const way = JSON.parse(told.stdout) as { url: string; keyFile: string; subjects: string; stream: string };
  expect((await stat(way.keyFile)).mode & 0o777).toBe(0o600);
  const seed = new TextEncoder().encode((await readFile(way.keyFile, 'utf8')).trim());
  const reader = await connect({ servers: way.url, authenticator: nkeyAuthenticator(seed), tls: null });
  const heard = new Map<string, number>();
  const wrong: string[] = [];
  const hear = (subject: string, text: string) => {
    const name = nameOn(subject);
    heard.set(name, (heard.get(name) ?? 0) + 1);
    const validate = ajv.getSchema(`bus#/$defs/${name}`);
    if (!validate?.(JSON.parse(text))) wrong.push(`${name}: ${ajv.errorsText(validate?.errors)}: ${text}`);
  };
  reader.subscribe(way.subjects, {
    callback: (error, message) => {
      if (!error) hear(message.subject, message.string());
    },
  });
  const kept = await (await reader.jetstream().consumers.get(way.stream)).consume();
  void (async () => {
    for await (const message of kept) hear(message.subject, message.string());
  })();
  const transitions = ['process.transition', 'agent.transition', 'point.transition', 'sweep.transition'];
  const repeated = ['heartbeat', 'lease', 'point.progress', 'telemetry.series', 'telemetry.samples'];
  // The run lasts until each message was heard, because some come only every few seconds.
  const all = [...transitions, ...repeated];
  await until(`each of ${all}`, () => all.every((name) => heard.has(name)));
  const scraped = await jobs.start(['metrics', await job.jobDir(), '--once', '--match', '^sglang:']);
  expect(await scraped.ended(), scraped.said).toBe(0);
  const decode = 'node="node\\d",process="decode-\\d-0",role="decode"';
  expect(scraped.stdout).toMatch(new RegExp(`^sglang:num_running_reqs{srtctl_job="[^"]+",${decode},`, 'm'));
  expect(scraped.stdout).toMatch(/^srtctl_benchmark_requests_done\{.*stage="(warmup|measure)"/m);
  expect(scraped.stdout).not.toContain('node_cpu_seconds_total');
  job.child.kill('SIGINT');
  expect(await job.ended(), job.said).toBe(130);
  await reader.close();
  expect(wrong).toEqual([]);
  expect([...heard.keys()]).toContain('point.result');
  await expect(stat(way.keyFile)).rejects.toThrow();
  const late = await jobs.start(['bus', await job.jobDir()]);
  expect(await late.ended()).toBe(2);
  expect(late.stderr).toContain('has ended, and its bus with it');
}, 120_000);

it('the printed program for Node prints the messages from the beginning of the job', async () => {
  const job = await jobs.apply(await writeRecipe(jobs.dir, { frontend: 'sglang' }), {
    args: ['--serve-only'],
  });
  await job.pointReached('benchmarking');
  const jobDir = await job.jobDir();
  const example = await jobs.start(['bus', jobDir, '--example', 'node']);
  expect(await example.ended(), example.said).toBe(0);
  const directory = await mkdtemp(join(jobs.dir, 'program-'));
  await writeFile(join(directory, 'watch.mjs'), example.stdout);
  await symlink(resolve(import.meta.dirname, '../../node_modules'), join(directory, 'node_modules'));
  const program = spawn(process.execPath, ['watch.mjs'], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [program.stdout, program.stderr]) stream.on('data', (data) => (said += data));
  try {
    await until('its first and its latest message', () =>
      ['sweep.transition', 'deploying', 'benchmarking', '.heartbeat'].every((text) => said.includes(text)),
    );
  } finally {
    program.kill('SIGKILL');
  }
  const file = join(jobs.dir, 'reader.nk');
  const exported = await jobs.start(['bus', jobDir, '--export', file]);
  expect(await exported.ended(), exported.said).toBe(0);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  const again = await jobs.start(['bus', jobDir, '--export', file]);
  expect(await again.ended()).toBe(2);
  expect(again.stderr).toContain('exists already');
  expect(again.stdout + exported.stdout).not.toContain(await readFile(file, 'utf8'));
}, 120_000);
