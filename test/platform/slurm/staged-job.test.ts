import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { batchScript } from '../../../src/platform/slurm/batch-script.ts';
import { STAGED } from '../../../src/platform/slurm/staged-job.ts';

const run = promisify(execFile);

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'srtctl-staged-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** A rendered job whose coordinator shows what it gets, and the script's exit code and output. */
async function start(jobId: string): Promise<{ exitCode: number; output: string }> {
  const staged = { directory: root, cwd: root };
  const arch = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
  const script = batchScript({
    ...{ name: 'a', directives: [], outputs: root, distDir: root, warningS: 60, staged },
    runtimes: { [arch]: process.execPath },
  });
  await writeFile(
    join(root, 'coordinator.js'),
    `console.log(require('node:fs').readFileSync(process.argv[2], 'utf8'));`,
  );
  await writeFile(join(root, 'sbatch_script.sh'), script);
  const env = { ...process.env, SLURM_JOB_ID: jobId };
  return run('bash', [join(root, 'sbatch_script.sh')], { env }).then(
    ({ stdout }) => ({ exitCode: 0, output: stdout }),
    (error: { code: number; stdout: string }) => ({ exitCode: error.code, output: error.stdout }),
  );
}

describe('the script of a rendered job', () => {
  it('makes the directory of the job, with its id and the modes of its files', async () => {
    const spec = { jobId: STAGED.jobId, jobDir: `/x/${STAGED.jobId}`, at: STAGED.submittedAt };
    await writeFile(join(root, 'job.json'), JSON.stringify(spec), { mode: 0o600 });
    await writeFile(join(root, 'config.yaml'), 'name: r\n');
    expect(await start('71')).toEqual({ exitCode: 0, output: '' });
    const written: unknown = JSON.parse(await readFile(join(root, '71/71.json'), 'utf8'));
    expect(written).toMatchObject({ jobId: '71', jobDir: '/x/71', at: expect.stringMatching(/^20.*Z$/) });
    expect((await stat(join(root, '71/71.json'))).mode & 0o777).toBe(0o600);
    expect((await readdir(join(root, '71'))).sort()).toEqual([
      '71.json',
      'config.yaml',
      'logs',
      'sbatch_script.sh',
    ]);
    expect(await readFile(join(root, '71/logs/sweep_71.log'), 'utf8')).toContain('"jobId":"71"');
  });

  it('leaves a directory alone that has its spec already', async () => {
    await writeFile(join(root, 'job.json'), '{"jobId":"@SRTCTL_JOB_ID@"}');
    await start('71');
    await writeFile(join(root, '71/71.json'), '{"own":true}');
    await start('71');
    expect(await readFile(join(root, '71/71.json'), 'utf8')).toBe('{"own":true}');
  });

  it('ends with 2 and the reason when its files are gone', async () => {
    const { exitCode, output } = await start('71');
    expect({ exitCode, exists: existsSync(join(root, '71')) }).toEqual({ exitCode: 2, exists: false });
    expect(output).toContain(`${root}/job.json is not there`);
  });
});
