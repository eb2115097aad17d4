import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { findProgram } from '../../src/os/find-program.ts';
import { writeRecipe } from '../e2e/recipe.ts';
import { RunningJob } from '../support/job.ts';
import { removeLeftovers } from '../support/leftovers.ts';

/** Users without a name: one whose job runs, and one with a shell on the same machine. */
const OWNER = 20_001;
const HOSTILE = 20_002;
const SECRET = 'hf_zQ7secretOfTheOwner91';
const isRoot = process.getuid?.() === 0;
const as = (uid: number): string[] => [
  ...['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'],
  ...['--inh-caps=-all', '--ambient-caps=-all', '--bounding-set=-all'],
];

let dir: string;
/**
 * srtctl's programs, in a place that both users can read, because a checkout may lie in root's own directory.
 */
let installation: string;
let home: string;
/** Everyone can write there, as in /tmp, and only the owner of a file can remove it. */
let shared: string;
let recipe: string;
const jobs: RunningJob[] = [];

beforeAll(async () => {
  if (!isRoot) return;
  dir = mkdtempSync(join(tmpdir(), 'srtctl-test-'));
  chmodSync(dir, 0o755);
  installation = join(dir, 'srtctl');
  cpSync(resolve('dist'), join(installation, 'dist'), { recursive: true });
  mkdirSync(join(installation, '.srtctl/bin'), { recursive: true });
  const natsServer = findProgram('nats-server', process.env, process.cwd());
  copyFileSync(natsServer, join(installation, '.srtctl/bin/nats-server'));
  spawnSync('chmod', ['-R', 'a+rX', installation]);
  copyFileSync(resolve('test/security/second-uid.cjs'), join(dir, 'second-uid.cjs'));
  copyFileSync(resolve('test/support/patient.yaml'), join(dir, 'patient.yaml'));
  shared = join(dir, 'shared');
  mkdirSync(shared);
  chmodSync(shared, 0o1777);
  home = join(dir, 'home');
  mkdirSync(join(home, 'outputs'), { recursive: true });
  recipe = await writeRecipe(home, { frontend: 'sglang', requests: 600 });
  writeFileSync(recipe, `${readFileSync(recipe, 'utf8')}environment: { HF_TOKEN: ${SECRET} }\n`);
  for (const path of [home, join(home, 'outputs'), recipe]) chownSync(path, OWNER, OWNER);
}, 60_000);
afterEach(async () => {
  for (const job of jobs.splice(0)) await job.stop();
  if (home !== undefined && existsSync(join(home, 'outputs')))
    for (const jobId of readdirSync(join(home, 'outputs'))) await removeLeftovers(jobId);
});
afterAll(() => {
  if (dir !== undefined) rmSync(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
});

const environment = (more: Record<string, string> = {}) => ({
  ...{ HOME: home, TMPDIR: '/tmp', SRTCTL_SIM_LOAD_MS: '100', SRTCTL_SIM_SPEED: '10', ...more },
});

/** The owner applies a recipe in a directory where everyone can write. */
function apply(file: string, env: Record<string, string>): RunningJob {
  const args = ['apply', '-f', file, '--local', '--mock'];
  const place = { cwd: shared, srtctl: join(installation, 'dist/srtctl.js') };
  const job = new RunningJob(join(home, 'outputs'), args, environment(env), as(OWNER), place);
  jobs.push(job);
  return job;
}

function hostile(command: string, ...args: string[]) {
  const [program = '', ...words] = [...as(HOSTILE), command, ...args];
  return spawnSync(program, words, {
    cwd: shared,
    env: { PATH: process.env.PATH, HOME: shared },
    encoding: 'utf8',
    timeout: 90_000,
  });
}

/** A program that creates a file when it is run. */
const witness = (): string => join(shared, 'witness');
const program = `#!/bin/sh\nid -u >>"${'$'}WITNESS"\nexit 1\n`;

/** Files that the hostile user plants in the owner's working directory. */
function plant(): void {
  const text = program.replaceAll('$WITNESS', witness());
  const script = ['.srtctl/bin/nats-server', 'nats-server', 'etcd', 'python3', 'node', 'dist/guard.sh']
    .map((name) => `mkdir -p "$(dirname ${name})"; cat >${name} <<'END'\n${text}END\nchmod 755 ${name}`)
    .join('\n');
  const planted = hostile('sh', '-c', script);
  expect(planted.status, planted.stderr).toBe(0);
}

describe('another user of the machine, with a shell on it', () => {
  it('plants no configuration and no recipe: srtctl refuses them and names the user', async ({ skip }) => {
    if (!isRoot && process.env.CI !== 'true') skip('only root can be two other users');
    plant();
    const config = 'printf \'srtctl_root: /tmp\\ndefault_bash_preamble: touch %s\\n\' "$1" >srtslurm.yaml';
    expect(hostile('sh', '-c', config, 'sh', witness()).status).toBe(0);
    const configured = apply(recipe, { SRTSLURM_CONFIG: '' });
    expect(await configured.ended(), configured.said).toBe(2);
    expect(configured.said).toMatch(/srtslurm\.yaml.*20002/);
    const own = join(shared, 'of-the-owner');
    mkdirSync(own);
    chownSync(own, OWNER, OWNER);
    const [program = '', ...words] = [...as(OWNER), process.execPath, join(installation, 'dist/srtctl.js')];
    const below = spawnSync(program, [...words, 'dry-run', '-f', recipe], {
      ...{ cwd: own, encoding: 'utf8', env: { ...process.env, ...environment({ SRTSLURM_CONFIG: '' }) } },
    });
    expect(below.status, below.stdout + below.stderr).toBe(2);
    expect(below.stderr).toMatch(/srtslurm\.yaml.*20002/);
    rmSync(join(shared, 'srtslurm.yaml'));
    expect(hostile('cp', recipe, 'recipe.yaml').status).toBe(0);
    const planted = apply(join(shared, 'recipe.yaml'), { SRTSLURM_CONFIG: join(dir, 'patient.yaml') });
    expect(await planted.ended(), planted.said).toBe(2);
    expect(planted.said).toMatch(/recipe\.yaml.*20002/);
    expect(existsSync(witness())).toBe(false);
  }, 120_000);

  it('reads nothing of a running job, and cannot change how it ends', async ({ skip }) => {
    if (!isRoot && process.env.CI !== 'true') skip('only root can be two other users');
    plant();
    const job = apply(recipe, { SRTSLURM_CONFIG: join(dir, 'patient.yaml') });
    await job.benchmarking();
    const jobDir = await job.jobDir();
    const tried = hostile(process.execPath, join(dir, 'second-uid.cjs'), jobDir, String(OWNER), SECRET);
    expect(tried.status, tried.stderr).toBe(0);
    const report = JSON.parse(tried.stdout) as Record<string, { tried: number; got: string[] }>;
    const got = Object.entries(report).filter(([, each]) => each.got.length > 0);
    expect(Object.fromEntries(got)).toEqual({});
    const never = Object.entries(report).filter(([, each]) => each.tried === 0);
    // No part of srtctl uses a Unix socket.
    expect(never.map(([name]) => name)).toEqual(['connect to sockets of the job']);
    expect(Object.keys(report).length).toBeGreaterThan(20);
    expect(report.processes?.tried).toBeGreaterThan(8);
    expect(report['nats-servers']?.tried).toBe(1);
    const srtctl = [process.execPath, join(installation, 'dist/srtctl.js')] as const;
    for (const args of [
      ['cancel', jobDir],
      ['resume', jobDir],
    ]) {
      const refused = hostile(...srtctl, ...args);
      expect(refused.status, `${args[0]}: ${refused.stdout}${refused.stderr}`).toBeGreaterThan(0);
    }
    expect(job.child.exitCode, 'the job ran while all that was tried').toBeNull();
    expect(await job.ended(), job.said).toBe(0);
    const [result] = await job.results();
    expect(result).toMatchObject({ status: 'done', benchmark: { valid: true } });
    const serving = result?.benchmark?.serving ?? [];
    expect(serving).toMatchObject([{ requests: 1_200, completed: 1_200, failed: 0 }]);
    expect(existsSync(witness())).toBe(false);
    const states = (await job.events()).filter((event) => event.kind === 'agent.transition');
    expect(states.filter((event) => event.to === 'lost' || event.to === 'suspect')).toEqual([]);
    await job.nothingLeft();
  }, 180_000);
});
