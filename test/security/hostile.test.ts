import { execFileSync } from 'node:child_process';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { connect, nkeyAuthenticator } from 'nats';
import { expect, it } from 'vitest';
import { inboxOf } from '../../src/messages/bus/nats-bus.ts';
import { subjectsOf } from '../../src/messages/events/subjects.ts';
import { agentConfigSchema, connectionSchema } from '../../src/messages/job-directory/job-files.ts';
import { writeRecipe } from '../e2e/recipe.ts';
import { useJobs } from '../support/jobs.ts';
import { flood, randomOf } from './hostile.ts';

const jobs = useJobs();

const login = (url: string, seed: string, inboxPrefix: string) =>
  connect({ servers: url, authenticator: nkeyAuthenticator(new TextEncoder().encode(seed)), inboxPrefix });

/** A secret nkey. */
const SEED = /SU[A-Z2-7]{56}/;

it('a run succeeds under 10,000 malformed messages, and its keys are only in private files', async () => {
  const recipe = await writeRecipe(jobs.dir, { frontend: 'sglang', requests: 600 });
  const job = await jobs.apply(recipe);
  await job.pointReached('benchmarking');
  const jobDir = await job.jobDir();
  const read = async (file: string): Promise<unknown> =>
    JSON.parse(await readFile(join(jobDir, file), 'utf8'));
  const own = agentConfigSchema.parse(await read('.credentials/agent-node1.json'));
  const { url, jobId, operatorSeed } = connectionSchema.parse(await read('connection.json'));

  expect(await keysInTheOpen(jobDir)).toEqual([]);

  const s = subjectsOf(jobId);
  const agent = await login(url, own.seed, inboxOf('agent', 'node1'));
  const operator = await login(url, operatorSeed, inboxOf('operator'));
  const engine = await connect({ servers: url });
  const random = randomOf(6);
  await Promise.all([
    flood(
      agent,
      [s.hello('node1'), s.heartbeat('node1'), s.kept('process.transition', { node: 'node1', process: 'x' })],
      7_000,
      random,
    ),
    flood(operator, [s.log('node1', '%zz'), s.log('node2', 'nginx'), s.cancel], 3_000, random),
    flood(engine, [s.allDesired, s.desired('node1'), s.cancel, 'x.y'], 1_000, random),
  ]);
  // A valid message that claims to come from a newer coordinator.
  const claim = { v: 1, node: 'node1', incarnation: 'x', epoch: 1_000_000, generation: 0, processes: [] };
  agent.publish(
    s.heartbeat('node1'),
    JSON.stringify({ ...claim, alive: 0, rssBytes: 0, malformed: 0, leaving: false }),
  );
  agent.publish(s.hello('node1'), JSON.stringify({ ...claim, pid: 1, address: '127.0.0.1' }));
  await agent.flush();
  await Promise.all([agent.close(), operator.close(), engine.close()]);

  expect(await job.ended(), job.said).toBe(0);
  const [result] = await job.results();
  expect(result).toMatchObject({ status: 'done', benchmark: { valid: true } });
  expect((await job.state()).epoch).toBe(1);
  const states = (await job.events()).filter((event) => event.kind === 'agent.transition');
  expect(states.filter((event) => event.to === 'lost')).toEqual([]);
  // Dropped messages are logged, but do not fill a log.
  for (const name of await readdir(join(jobDir, 'logs'))) {
    const text = await readFile(join(jobDir, 'logs', name), 'utf8');
    if (/sweep_|_agent/.test(name)) expect(text.split('\n').length, name).toBeLessThan(300);
  }
  expect(await readFile(join(jobDir, 'logs', `sweep_${jobId}.log`), 'utf8')).toContain('malformed');
  await job.nothingLeft();
}, 90_000);

/** Places where others can read a key: files that are not private, command lines, environments. */
async function keysInTheOpen(jobDir: string): Promise<string[]> {
  const found: string[] = [];
  for (const name of await readdir(jobDir, { recursive: true })) {
    const path = join(jobDir, name);
    // A file may be replaced during the search.
    const now = await stat(path).catch(() => undefined);
    if (!now?.isFile() || !SEED.test(await readFile(path, 'latin1').catch(() => ''))) continue;
    if ((now.mode & 0o077) !== 0) found.push(`${path} ${now.mode.toString(8)}`);
  }
  const pids = execFileSync('ps', ['-eo', 'pid='], { encoding: 'utf8' }).split('\n');
  for (const pid of pids.map((line) => line.trim()).filter((line) => line !== ''))
    for (const file of ['cmdline', 'environ']) {
      const text = await readFile(`/proc/${pid}/${file}`, 'latin1').catch(() => '');
      if (text.includes(jobDir) && SEED.test(text)) found.push(`/proc/${pid}/${file}`);
    }
  return found;
}
