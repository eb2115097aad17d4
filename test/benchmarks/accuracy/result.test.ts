import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  type AccuracyConfig,
  accuracyConfigSchema,
  CONFIG_FILE,
  RESULT_FILE,
} from '../../../src/benchmarks/accuracy/config.ts';
import { readLmEval } from '../../../src/benchmarks/accuracy/lm-eval.ts';
import { readAccuracy } from '../../../src/benchmarks/accuracy/result.ts';
import { evaluate } from '../../../src/benchmarks/accuracy/run.ts';
import { readRunEval } from '../../../src/benchmarks/accuracy/run-eval.ts';
import { accuracyTable } from '../../../src/benchmarks/common/accuracy-table.ts';
import { resultLines } from '../../../src/benchmarks/common/result-lines.ts';

let dir = '';
beforeEach(async () => {
  for (const stream of [process.stdout, process.stderr]) vi.spyOn(stream, 'write').mockReturnValue(true);
  dir = await mkdtemp(join(tmpdir(), 'srtctl-accuracy-'));
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(dir, { recursive: true });
});

const never = new AbortController().signal;

const configWith = (own: Partial<AccuracyConfig>): AccuracyConfig =>
  accuracyConfigSchema.parse({
    ...{ type: 'gsm8k', tool: 'run_eval', tasks: ['gsm8k'], outputs: [], repeats: 1, asked: 4, shots: 0 },
    ...{ dataFile: null, url: 'http://n1:8000', threads: 2, min: null, metric: null, apiKeyEnv: null },
    ...{ runs: [['true']], resultDir: dir },
    ...own,
  });

/** A tool that says what run_eval says, and writes its files below `dir`. */
const runEval = ({ score = 0.75, printed = 1.5, questions = 4, lines = [] as string[] } = {}): string[] => {
  const json = JSON.stringify({ 'score:std': 0.4, score, latency: 1.5, output_throughput: 20 });
  const script = `
    const { writeFileSync } = require('node:fs');
    writeFileSync('${dir}/gsm8k_m.json', ${JSON.stringify(json)});
    writeFileSync('${dir}/gsm8k_m.html', '<p>Score: 1.0</p>'.repeat(${questions}));
    process.stderr.write('\\r 50%|█████     | 2/4 [00:01<00:01, 1.0it/s]\\r100%|██████████| 4/4 [00:02<00:00, 1.0it/s]\\n');
    console.log(${JSON.stringify([...lines, `Total latency: ${printed.toFixed(3)} s`].join('\n'))});
    console.log('Writing report to ${dir}/gsm8k_m.html\\nWriting results to ${dir}/gsm8k_m.json');`;
  return [process.execPath, '-e', script];
};

/** The result of a point whose tool has ended. */
async function judged(config: AccuracyConfig) {
  const result = await evaluate(config, never);
  await writeFile(join(dir, CONFIG_FILE), JSON.stringify(config));
  await writeFile(join(dir, RESULT_FILE), JSON.stringify(result));
  return readAccuracy(config.type, dir);
}

describe('a result of run_eval', () => {
  it('has the score with its error, the questions, and the files of the tool', async () => {
    const result = await judged(configWith({ runs: [runEval()] }));
    expect(result).toMatchObject({ type: 'gsm8k', valid: true, serving: [] });
    expect(result.accuracy).toMatchObject([
      {
        ...{
          tool: 'run_eval',
          task: 'gsm8k',
          metric: 'score',
          score: 0.75,
          stderr: 0.2,
          samples: 4,
          asked: 4,
        },
        ...{
          repeats: [0.75],
          deviation: null,
          errors: 0,
          truncated: null,
          others: { output_throughput: 20 },
        },
      },
    ]);
    expect(result.artifacts).toContain('accuracy/gsm8k_m.json');
    expect(JSON.parse(await readFile(join(dir, 'progress.json'), 'utf8'))).toMatchObject({
      ...{ stage: 'done', requestsDone: 4, requestsTotal: 4, concurrency: 2 },
    });
  });

  it('does not count when questions are missing, had no answer, or the score is too low', async () => {
    const lines = [
      'Bad Request Error 400',
      'All retry attempts exhausted for request. Returning empty response.',
    ];
    const result = await judged(configWith({ runs: [runEval({ questions: 3, lines })], min: 0.9 }));
    expect(result.valid).toBe(false);
    expect(result.reasons?.map(({ text }) => text)).toEqual([
      'gsm8k: 3 of 4 questions were asked',
      'gsm8k: 2 requests got no answer, and run_eval counts that as a wrong one',
      'gsm8k: the score 0.7500 is below accuracy.min (0.9)',
    ]);
  });

  it('may have fewer questions than asked, because run_eval takes its examples from them', async () => {
    const questions = '{"question":"a","answer":"1"}\n'.repeat(5);
    await writeFile(join(dir, 'own.jsonl'), questions);
    const config = configWith({
      runs: [runEval({ questions: 3 })],
      asked: 5,
      shots: 2,
      dataFile: join(dir, 'own.jsonl'),
    });
    expect(await judged(config)).toMatchObject({ valid: true, accuracy: [{ samples: 3, asked: 3 }] });
    const whole = configWith({ runs: [runEval()], asked: 1_319, shots: 5 });
    expect(await judged(whole)).toMatchObject({ valid: false, accuracy: [{ samples: 4, asked: 1_314 }] });
  });

  it('of another run on the machine is none', async () => {
    const config = configWith({ runs: [runEval({ printed: 2.5 })] });
    await expect(evaluate(config, never)).rejects.toThrow(/gsm8k_m\.json is the result of another run/);
  });

  it('that is missing, or whose tool has failed, is an error that says so', async () => {
    await expect(evaluate(configWith({ runs: [['true']] }), never)).rejects.toThrow(
      /named no file with a result/,
    );
    const failing = configWith({ runs: [['sh', '-c', 'exit 3']] });
    await expect(evaluate(failing, never)).rejects.toThrow(/ended with exit code 3/);
    const absent = configWith({ runs: [['no-such-tool']] });
    await expect(evaluate(absent, never)).rejects.toThrow(/could not be started: .*ENOENT/);
  });

  it('of several repeats has the score of each, and the spread between them', async () => {
    // What 0.5.18 writes with --repeat 3.
    const text = JSON.stringify({
      ...{ stem: 0.8, 'stem:std': 0.4, 'score:std': 0.366 },
      ...{ scores: ['0.790', '0.820', '0.850'], mean_score: 0.82, latency: 58.2 },
    });
    expect(readRunEval(text)).toMatchObject({
      value: { score: 0.82, repeats: [0.79, 0.82, 0.85], std: 0.366 },
    });
    expect(readRunEval('{"latency": 1}')).toEqual({ problem: 'it has neither score nor mean_score' });
    expect(readRunEval('{"score": NaN}')).toMatchObject({ problem: expect.stringMatching(/^not JSON/) });
  });

  it('wants the variable with the key that the recipe names', async () => {
    const config = configWith({ apiKeyEnv: 'SRTCTL_TEST_NO_SUCH_KEY' });
    await expect(evaluate(config, never)).rejects.toThrow('SRTCTL_TEST_NO_SUCH_KEY is not set');
  });
});

/** As lm_eval 0.4.13 writes it. */
const lmEvalResult = (score: number) => ({
  results: {
    gsm8k: {
      ...{ name: 'gsm8k', alias: 'gsm8k', sample_len: 4 },
      ...{ 'exact_match,strict-match': score - 0.1, 'exact_match_stderr,strict-match': 'N/A' },
      ...{ 'exact_match,flexible-extract': score, 'exact_match_stderr,flexible-extract': 0.05 },
    },
  },
  group_subtasks: {},
  'n-samples': { gsm8k: { original: 1_319, effective: 4 } },
});

describe('a result of lm-eval', () => {
  it('is the mean of its repeats, with the files of each', async () => {
    const outputs = ['repeat-1', 'repeat-2'].map((name) => join(dir, 'accuracy', name));
    for (const [at, output] of outputs.entries()) {
      await mkdir(join(output, 'm'), { recursive: true });
      await writeFile(join(output, 'm/results_2026.json'), JSON.stringify(lmEvalResult(0.8 + at / 10)));
    }
    const config = configWith({ tool: 'lm-eval', runs: [['true'], ['true']], outputs, repeats: 2 });
    const result = await judged(config);
    expect(result.valid).toBe(true);
    const [one] = result.accuracy ?? [];
    expect(one).toMatchObject({
      ...{ metric: 'exact_match,flexible-extract', samples: 4, asked: 4, stderr: 0.05, repeats: [0.8, 0.9] },
    });
    expect(one?.score).toBeCloseTo(0.85);
    expect(one?.deviation).toBeCloseTo(0.0707, 3);
    expect(result.artifacts).toContain('accuracy/repeat-2/m/results_2026.json');
    expect(accuracyTable(result.accuracy ?? [])).toMatch(/gsm8k.*0\.8500.*0\.0500.*4.*2.*0\.0707/);
  });

  it('has the figure that the recipe names, or says which there are', () => {
    const text = JSON.stringify(lmEvalResult(0.8));
    expect(readLmEval(text, ['gsm8k'], 'exact_match,strict-match')).toMatchObject({
      value: [{ metric: 'exact_match,strict-match', stderr: null }],
    });
    expect(readLmEval(text, ['gsm8k'], 'acc,none')).toEqual({
      problem:
        'gsm8k has no figure acc,none; its figures: exact_match,strict-match, exact_match,flexible-extract',
    });
    expect(readLmEval(text, ['mmlu'], null)).toEqual({ problem: 'it has no task mmlu, only gsm8k' });
  });

  it('of a group counts the questions of the tasks below it', () => {
    const text = JSON.stringify({
      results: { all: { 'acc,none': 0.5 }, a: { 'acc,none': 0 }, b: { 'acc,none': 1 } },
      group_subtasks: { all: ['half'], half: ['a', 'b'], a: [], b: [] },
      'n-samples': { a: { original: 3, effective: 2 }, b: { original: 9, effective: 2 } },
    });
    expect(readLmEval(text, ['all'], null)).toMatchObject({ value: [{ samples: 4, available: [3, 9] }] });
  });
});

describe('a line of results.jsonl', () => {
  it('has the accuracy of its point, by task', async () => {
    const benchmark = await judged(configWith({ runs: [runEval()] }));
    const [line] = resultLines({
      ...{
        job: 'j',
        ordinal: 0,
        name: 'n',
        params: null,
        status: 'done',
        attempt: 1,
        benchmark,
        cause: null,
      },
    });
    expect(line).toMatchObject({ valid: true, accuracy: { gsm8k: { score: 0.75, samples: 4 } } });
  });
});
