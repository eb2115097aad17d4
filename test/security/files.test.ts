import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { chown } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeJobDir } from '../../src/cli/submit/write-job-dir.ts';
import { listenAddress } from '../../src/coordinator/bus-server/listen.ts';
import { throttled } from '../../src/messages/bus/throttle.ts';
import type { JobSpec } from '../../src/messages/job-directory/job-files.ts';
import { removeOwnDirectory } from '../../src/os/files/own-directory.ts';
import { makePrivateDirectory, writePrivateFile } from '../../src/os/files/private-files.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'srtctl-test-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));
const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);

describe('private files', () => {
  it('are 0600 whatever the umask is, and replace a link instead of its target', async () => {
    const before = process.umask(0);
    try {
      const path = join(dir, 'secret');
      writeFileSync(join(dir, 'victim'), 'untouched');
      symlinkSync(join(dir, 'victim'), path);
      await writePrivateFile(path, 'seed');
      expect(modeOf(path)).toBe('600');
      expect(readFileSync(path, 'utf8')).toBe('seed');
      expect(readFileSync(join(dir, 'victim'), 'utf8')).toBe('untouched');
    } finally {
      process.umask(before);
    }
  });

  it('are in a directory that is closed to others, even when it existed before', () => {
    mkdirSync(join(dir, 'open'), { mode: 0o777 });
    makePrivateDirectory(join(dir, 'open'));
    makePrivateDirectory(join(dir, 'new'));
    expect([modeOf(join(dir, 'open')), modeOf(join(dir, 'new'))]).toEqual(['700', '700']);
  });

  it('are never in a directory that is a link or belongs to another user', async () => {
    mkdirSync(join(dir, 'elsewhere'));
    symlinkSync(join(dir, 'elsewhere'), join(dir, 'link'));
    expect(() => makePrivateDirectory(join(dir, 'link'))).toThrow(/not a directory of this user/);
    if (process.getuid?.() !== 0) return;
    mkdirSync(join(dir, 'theirs'));
    await chown(join(dir, 'theirs'), 12_345, 12_345);
    expect(() => makePrivateDirectory(join(dir, 'theirs'))).toThrow(/not a directory of this user/);
    removeOwnDirectory(join(dir, 'theirs'));
    removeOwnDirectory(join(dir, 'link'));
    expect(existsSync(join(dir, 'theirs')) && existsSync(join(dir, 'link'))).toBe(true);
  });
});

describe('a job’s directory', () => {
  const spec = (jobDir: string, environment: object) =>
    ({
      v: 1,
      jobId: 'j',
      jobDir,
      setupScript: null,
      variant: { environment },
      cluster: {},
    }) as unknown as JobSpec;

  it('is readable for all and writable only for its owner; files with passwords are readable only for the owner', async () => {
    const before = process.umask(0);
    try {
      writeFileSync(join(dir, 'recipe.yaml'), 'name: x');
      const files = ['config.yaml', 'j.json', 'sbatch_script.sh'];
      const modes = async (environment: object) => {
        const jobDir = `${mkdtempSync(join(dir, 'outputs-'))}/deep/j`;
        await writeJobDir(spec(jobDir, environment), join(dir, 'recipe.yaml'), '#!/bin/bash');
        return [jobDir, `${jobDir}/logs`, ...files.map((file) => join(jobDir, file))].map(modeOf);
      };
      expect(await modes({ MAX_TOKENS: '5', TOKENIZER: 'x', HF_TOKEN: '' })).toEqual([
        '755',
        '755',
        '644',
        '644',
        '644',
      ]);
      for (const name of ['HF_TOKEN', 'OPENAI_API_KEY', 'aws_secret_access_key', 'PASSWORD'])
        expect(await modes({ [name]: 'x' }), name).toEqual(['755', '755', '600', '600', '600']);
    } finally {
      process.umask(before);
    }
  });

  it('is refused when another user has created it before', async () => {
    const jobDir = join(dir, 'j');
    mkdirSync(jobDir);
    chmodSync(jobDir, 0o777);
    await expect(writeJobDir(spec(jobDir, {}), join(dir, 'none'), null)).rejects.toThrow(
      /other users can write to it/,
    );
    rmSync(jobDir, { recursive: true });
    symlinkSync(dir, jobDir);
    await expect(writeJobDir(spec(jobDir, {}), join(dir, 'none'), null)).rejects.toThrow(
      /other users can write to it/,
    );
  });
});

describe('the address on which the server listens', () => {
  it("is the head node's address where its name resolves to nothing else, and every address otherwise", async () => {
    const told = (addresses: string[]) => listenAddress('head', '10.0.0.1', async () => addresses);
    expect(await told(['10.0.0.1'])).toBe('10.0.0.1');
    expect(await told(['127.0.1.1'])).toBe('0.0.0.0');
    expect(await told(['10.0.0.1', '192.168.0.1'])).toBe('0.0.0.0');
    expect(await listenAddress('head', '10.0.0.1', () => Promise.reject(new Error('no such name')))).toBe(
      '0.0.0.0',
    );
  });
});

it('a log gets the first of many lines, and then now and again their number', () => {
  const lines: string[] = [];
  let now = 0;
  const log = throttled(
    (line) => lines.push(line),
    () => now,
    2,
    1_000,
  );
  for (let n = 0; n < 1_000; n++) log('dropped');
  now = 1_500;
  log('dropped');
  expect(lines).toEqual(['dropped', 'dropped', 'dropped (and 998 more that were left out)']);
});
