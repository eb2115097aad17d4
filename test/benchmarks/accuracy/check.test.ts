import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Check, missing, problemsIn } from '../../../src/benchmarks/accuracy/check.ts';

let dir = '';
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'srtctl-check-'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(dir, { recursive: true });
});

/** A python3 that prints one line. */
async function pythonThatSays(text: string): Promise<void> {
  const bin = join(dir, 'bin');
  await mkdir(bin);
  await writeFile(join(bin, 'python3'), `#!/bin/sh\necho '${text}'\n`);
  await chmod(join(bin, 'python3'), 0o755);
  vi.stubEnv('PATH', `${bin}${delimiter}${process.env.PATH}`);
}

const lmEval: Check = { tool: 'lm-eval', tasks: ['gsm8k'], api: 'completion', paths: [] };

describe('the step before an evaluation', () => {
  it('names each module, file and data set that is not there', async () => {
    await pythonThatSays('lm_eval tenacity');
    const problems = await missing({ ...lmEval, paths: [join(dir, 'none')] }, {});
    expect(problems).toEqual([
      `${dir}/none does not exist, or cannot be read, in the image of the benchmark`,
      expect.stringMatching(
        /^the image of the benchmark has no lm_eval, tenacity: pip install "lm_eval\[api\]"/,
      ),
    ]);
  });

  it('wants the data set of a task in the cache when downloads are forbidden', async () => {
    await pythonThatSays('');
    const env = { HF_HUB_OFFLINE: '1', HF_HOME: dir };
    expect(await missing(lmEval, env)).toEqual([
      `HF_HUB_OFFLINE forbids to download the data set openai/gsm8k, and ${dir} does not have it`,
    ]);
    await mkdir(join(dir, 'hub/datasets--openai--gsm8k'), { recursive: true });
    expect(await missing(lmEval, env)).toEqual([]);
    expect(await missing({ ...lmEval, tasks: ['of_my_own'] }, env)).toEqual([]);
    expect(await missing(lmEval, {})).toEqual([]);
  });

  it('reads in run_eval what the release evaluates', async () => {
    await writeFile(join(dir, 'run_eval.py'), 'elif args.eval_name == "gsm8k":\n');
    await pythonThatSays(join(dir, 'run_eval.py'));
    const check: Check = { tool: 'run_eval', tasks: ['gpqa'], api: 'chat', paths: [] };
    expect(await missing(check, {})).toEqual([expect.stringMatching(/run_eval\.py does not evaluate gpqa/)]);
    expect(await missing({ ...check, tasks: ['gsm8k'] }, {})).toEqual([]);
    expect(problemsIn('args.eval_name == "gsm8k"', { tasks: ['gsm8k'], api: 'completion' })).toEqual([
      expect.stringMatching(/^has no --api completion/),
    ]);
    // 0.5.19 and 0.5.20 leave it to another program.
    const elsewhere = 'elif args.eval_name == "gpqa":\n    return _run_sgl_eval("gpqa", args)';
    expect(problemsIn(elsewhere, { tasks: ['gpqa'], api: 'chat' })).toHaveLength(1);
  });

  it('says when there is no Python', async () => {
    vi.stubEnv('PATH', dir);
    expect(await missing(lmEval, {})).toEqual(['the image of the benchmark has no python3']);
  });
});
