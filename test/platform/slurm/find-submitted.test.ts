import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { submitError, submitHeld } from '../../../src/platform/slurm/submit.ts';

const SOON = { everyMs: 1, untilMs: 200, answers: 2 };
const { PATH } = process.env;
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'srtctl-test-'));
  process.env.PATH = `${dir}${delimiter}${PATH}`;
});
afterEach(() => {
  process.env.PATH = PATH;
  rmSync(dir, { recursive: true, force: true });
});

function command(name: string, script: string): void {
  writeFileSync(join(dir, name), `#!/bin/bash\ndir=${dir}\n${script}\n`);
  chmodSync(join(dir, name), 0o755);
}

/** sbatch whose controller accepts the job, and answers too late. */
const tooLate = `cat >$dir/script; for arg; do case $arg in --comment=*) echo "\${arg#*=}" >$dir/comment ;; esac; done
echo "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation" >&2; exit 1`;

describe('a submission that is not answered in time', () => {
  it('goes on with its job when squeue finds it by its comment', async () => {
    command('sbatch', tooLate);
    command('squeue', 'echo "7|somebody else"; echo "8|$(cat $dir/comment)"');
    expect(await submitHeld('#!/bin/bash\n', dir, SOON)).toMatchObject({ jobId: '8' });
  });

  it('leaves the recipe’s comment unchanged, and finds its job by the script', async () => {
    command('sbatch', tooLate);
    command('squeue', 'echo "7|site"; echo "9|site"');
    command('scontrol', '[ "$3" = 9 ] && cat $dir/script');
    expect(await submitHeld('#!/bin/bash\n#SBATCH --comment=site\n', dir, SOON)).toMatchObject({
      jobId: '9',
    });
    expect(existsSync(join(dir, 'comment'))).toBe(false);
  });

  it('reports that no job was submitted when squeue answers without it', async () => {
    command('sbatch', tooLate);
    command('squeue', 'echo "7|another"');
    await expect(submitHeld('#!/bin/bash\n', dir, SOON)).rejects.toThrow(/nothing was submitted/);
  });

  it('says which job to look for when squeue does not answer either', async () => {
    command('sbatch', tooLate);
    command('squeue', 'exit 1');
    await expect(submitHeld('#!/bin/bash\n', dir, SOON)).rejects.toThrow(
      /whether the job was submitted is not known/,
    );
  });
});

const refusals = resolve('../shared/cases/11-sbatch-policy/stderr.txt');
it.skipIf(!existsSync(refusals))('each refusal of ../shared/cases/11-sbatch-policy has a hint', () => {
  for (const line of readFileSync(refusals, 'utf8')
    .split('\n')
    .filter((text) => text !== '')) {
    const error = submitError({
      exitCode: 1,
      stdout: '',
      stderr: line.replaceAll('|', '\n'),
      timedOut: false,
    });
    expect(error.hint, line).toMatch(/slurm\.|sbatch_directives|resources|default_|try again|squeue/);
  }
});
