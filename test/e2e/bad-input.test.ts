import { existsSync } from 'node:fs';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { useJobs } from '../support/jobs.ts';
import { writeRecipe } from './recipe.ts';

const jobs = useJobs();
let good: string;
beforeAll(async () => {
  good = await readFile(await writeRecipe(jobs.dir, { frontend: 'sglang' }), 'utf8');
});

/**
 * Runs apply on a recipe and returns what a person sees. Checks that apply has started and written nothing.
 */
async function applyText(
  text: string | null,
  env: Record<string, string> = {},
  args: string[] = ['--local', '--mock'],
) {
  const file = join(jobs.dir, 'bad.yaml');
  await rm(file, { force: true });
  if (text !== null) await writeFile(file, text);
  const job = await jobs.start(['apply', '-f', file, ...args], { env });
  const exitCode = await job.ended();
  const left = existsSync(job.outputs) ? await readdir(job.outputs) : [];
  return { exitCode, stderr: job.stderr, stdout: job.stdout, left, file };
}
const lineOf = (text: string, part: string): number => text.slice(0, text.indexOf(part)).split('\n').length;

describe('bad input exits with code 2 and one line that names the place, and starts nothing:', () => {
  it.each<[string, (text: string) => string, string, RegExp]>([
    [
      'an unknown key, with the nearest known one',
      (t) => t.replace('gpus_per_node', 'gpus_per_nod'),
      'gpus_per_nod',
      /resources\.gpus_per_nod.*gpus_per_node/,
    ],
    [
      'a wrong type',
      (t) => t.replace('gpus_per_node: 4', 'gpus_per_node: many'),
      'gpus_per_node',
      /resources\.gpus_per_node/,
    ],
    [
      'workers that do not fit on the nodes',
      (t) => t.replace('decode_workers: 2', 'decode_workers: 200'),
      'decode_workers',
      /resources\.decode_workers.*do not fit/,
    ],
    [
      'an unknown backend',
      (t) => t.replace('type: sglang\n  sglang_config', 'type: sglong\n  sglang_config'),
      'type: sglong',
      /backend\.type.*sglong/,
    ],
    [
      'an unknown frontend',
      (t) => t.replace('frontend:\n  type: sglang', 'frontend:\n  type: sgrouter'),
      'type: sgrouter',
      /frontend\.type.*sgrouter/,
    ],
    [
      'an unknown benchmark',
      (t) => t.replace('type: sa-bench', 'type: sa-bnch'),
      'type: sa-bnch',
      /benchmark\.type/,
    ],
    [
      'an unresolved placeholder',
      (t) => t.replace('isl: 64', 'isl: "{isl}"'),
      '{isl}',
      /benchmark\.isl.*\{isl\}/,
    ],
    ['broken YAML', (t) => t.replace('resources:', 'resources: ['), 'resources: [', /bad\.yaml:\d+/],
  ])('%s', async (_, change, part, message) => {
    const text = change(good);
    expect(text).not.toBe(good);
    const result = await applyText(text);
    expect(result, result.stderr).toMatchObject({ exitCode: 2, stdout: '', left: [] });
    const lines = result.stderr.trim().split('\n');
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(message);
    if (part !== 'resources: [') expect(lines[0]).toContain(`${result.file}:${lineOf(text, part)}`);
  });

  it('a missing file', async () => {
    const result = await applyText(null);
    expect(result).toMatchObject({ exitCode: 2, left: [] });
    expect(result.stderr.trim().split('\n')).toHaveLength(1);
    expect(result.stderr).toContain('bad.yaml');
  });

  it('an alias that is not defined, when a real engine needs it', async () => {
    const oneNode = good
      .replace('decode_nodes: 2', 'decode_nodes: 0')
      .replace('prefill_workers: 1', 'prefill_workers: 1\n  gpus_per_prefill: 2')
      .replace('decode_workers: 2', 'decode_workers: 1\n  gpus_per_decode: 2');
    const result = await applyText(oneNode, {}, ['--local']);
    expect(result).toMatchObject({ exitCode: 2, left: [] });
    expect(result.stderr).toMatch(/bad\.yaml:\d+:\d+: model\.path.*test-model/);
  });

  it('more nodes than --local has without --mock, and fewer than the recipe needs', async () => {
    const tooFew = await applyText(good, {}, ['--local', '--mock', '--nodes', '2']);
    expect(tooFew).toMatchObject({ exitCode: 2, left: [] });
    expect(tooFew.stderr).toMatch(/needs 3 nodes/);
  });

  it('a nats-server that does not exist, and how to get it', async () => {
    const result = await applyText(good, { SRTCTL_NATS_SERVER: '/no/such/nats-server' });
    expect(result).toMatchObject({ exitCode: 2, left: [] });
    expect(result.stderr).toMatch(/SRTCTL_NATS_SERVER=\/no\/such\/nats-server.*apt-get install nats-server/);
    expect(result.stderr.trim().split('\n')).toHaveLength(1);
  });

  it('a setup script that does not exist, and for real engines a model that does not exist', async () => {
    const script = await applyText(good, {}, ['--local', '--mock', '--setup-script', 'no-such.sh']);
    expect(script).toMatchObject({ exitCode: 2, left: [] });
    expect(script.stderr).toContain('no-such.sh');
    const real = await applyText(good, {}, []);
    expect(real).toMatchObject({ exitCode: 2, left: [] });
    expect(real.stderr).toContain('model.path');
  });
});

it('dry-run reports ignored settings and repeated measurements', async () => {
  const file = join(jobs.dir, 'vain.yaml');
  await writeFile(file, `${good}telemetry: { required: true }\nsweep: { trial: [1, 2] }\n`);
  const { stderr, status } = jobs.run(jobs.dir, ['dry-run', '-f', file]);
  expect(status, stderr).toBe(0);
  const lines = good.split('\n').length;
  expect(stderr).toContain(`${file}:${lines}: telemetry.required: not done by srtctl yet`);
  expect(stderr).toContain(`${file}:${lines + 1}: sweep.trial: no setting depends on {trial}`);
});
