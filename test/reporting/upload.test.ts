import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { filesToUpload, placeOf, uploadJob } from '../../src/reporting/upload.ts';
import { madeJob } from './made.ts';
import { s3Server } from './s3-server.ts';

const jobDir = mkdtempSync(join(tmpdir(), 'srtctl-upload-'));
const closes: (() => void)[] = [];
afterEach(() => {
  for (const close of closes.splice(0)) close();
});
afterAll(() => rmSync(jobDir, { recursive: true, force: true }));

for (const [path, text] of Object.entries({
  '77.json': '{"secret_access_key":"of-the-recipe"}',
  'results.jsonl': '{}\n',
  'points/00-small/result.json': '{"a":1}',
  'points/00-small/artifacts/x/inputs.json': 'large',
  'logs/n1_agent.out': 'log',
  'connection.json': 'key',
  'bus-reader.nk': 'key',
  '.credentials/n1': 'key',
})) {
  mkdirSync(dirname(join(jobDir, path)), { recursive: true });
  writeFileSync(join(jobDir, path), text);
}
const never = new AbortController().signal;
const keys = { AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'of-the-environment' };

async function upload(settings: object, env: NodeJS.ProcessEnv, refuse?: (path: string) => boolean) {
  const s3 = await s3Server(refuse);
  closes.push(s3.close);
  const reporting = { s3: { bucket: 'results', endpoint_url: s3.url, ...settings } };
  const job = madeJob(reporting, jobDir);
  if (!job.reporting?.s3) throw new Error('no s3');
  return { ...(await uploadJob(job, job.reporting.s3, env, never)), files: s3.files };
}

describe('the upload of a job', () => {
  it('sends every file with a signature, and no key of the job', async () => {
    const { url, sent, failed, files } = await upload({ prefix: '/team/', region: 'eu-west-1' }, keys);
    expect({ url, sent, failed }).toEqual({ url: 's3://results/team/2026-11-30/77/', sent: 5, failed: [] });
    expect([...files.keys()].sort()).toEqual(
      [
        ...['77.json', 'logs/n1_agent.out', 'points/00-small/artifacts/x/inputs.json'],
        ...['points/00-small/result.json', 'results.jsonl'],
      ].map((path) => `results/team/2026-11-30/77/${path}`),
    );
    expect(files.get('results/team/2026-11-30/77/points/00-small/result.json')).toEqual({
      ...{ body: '{"a":1}', type: 'application/json', signedBy: 'AKIDEXAMPLE', region: 'eu-west-1' },
    });
  });

  it('leaves out what the recipe excludes; a star goes across directories', async () => {
    const paths = await filesToUpload(jobDir, { exclude: ['points/*/inputs.json', '*.out'] });
    expect(paths).toEqual(['77.json', 'points/00-small/result.json', 'results.jsonl']);
  });

  it('does not send a file that repeats the key of the recipe', async () => {
    const { sent, failed, files } = await upload(
      { access_key_id: 'AKRECIPE', secret_access_key: 'of-the-recipe' },
      {},
    );
    expect(sent).toBe(4);
    expect(failed).toEqual([{ path: '77.json', why: 'it holds secret_access_key of the recipe' }]);
    expect([...files.values()].every(({ signedBy }) => signedBy === 'AKRECIPE')).toBe(true);
  });

  it('goes on after a file that the service refuses, and says which one', async () => {
    const { sent, failed } = await upload({}, keys, (path) => path.endsWith('.out'));
    expect(sent).toBe(4);
    expect(failed).toEqual([{ path: 'logs/n1_agent.out', why: 'not allowed' }]);
  });

  it('goes to the day of the job, in UTC, below srtslurm where the recipe says no prefix', () => {
    expect(placeOf(madeJob(), { bucket: 'b' })).toBe('srtslurm/2026-11-30/77/');
  });
});
