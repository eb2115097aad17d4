import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { lmEvalArgv, readLmEval } from '../../src/benchmarks/accuracy/lm-eval.ts';
import {
  QUESTION_MARK,
  RunEvalOutput,
  readRunEval,
  runEvalArgv,
} from '../../src/benchmarks/accuracy/run-eval.ts';
import { outputOf } from '../../src/os/processes/output-of.ts';
import { freePort } from '../../src/platform/local/local-platform.ts';
import { destroyAll, engineArgv, healthy, nodeAddress, start } from '../simulator/stand-ins.ts';
import { describeReal, pythonOf } from './support/programs.ts';
import { useRealJobs } from './support/real-jobs.ts';
import { shapeOf } from './support/shape.ts';

const MINUTES = 60_000;
const STAND_IN = [resolve('dist/mock-bin/python3')];

/** Simulated engines answer with the word `token`, so half of these questions have a right answer. */
const TASK = (data: string): string => `
task: tokens
dataset_path: json
dataset_kwargs: {data_files: {test: ${data}}}
output_type: generate_until
test_split: test
doc_to_text: "Question: {{question}}\\nAnswer:"
doc_to_target: "{{answer}}"
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
filter_list:
  - {name: flexible-extract, filter: [{function: regex, regex_pattern: "(token)"}, {function: take_first}]}
generation_kwargs: {until: ["\\n"]}
num_fewshot: 0
metadata: {version: 1.0}
`;
const QUESTIONS = 12;

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'srtctl-accuracy-real-'));
  await mkdir(join(dir, 'tasks'));
  const lines = Array.from({ length: QUESTIONS }, (_, at) =>
    JSON.stringify({ question: `What is ${at}?`, answer: at % 2 === 0 ? 'token' : 'nothing' }),
  );
  await writeFile(join(dir, 'questions.jsonl'), `${lines.join('\n')}\n`);
  await writeFile(join(dir, 'tasks/tokens.yaml'), TASK(join(dir, 'questions.jsonl')));
});
afterAll(() => rm(dir, { recursive: true }));

/** A simulated engine; its URL. */
async function engine(): Promise<string> {
  const host = nodeAddress(1);
  const port = await freePort(host);
  start(host, engineArgv(port));
  const url = `http://${host}:${port}`;
  await healthy(`${url}/health`);
  return url;
}
afterAll(destroyAll);

const offline = () => ({
  ...(process.env as Record<string, string>),
  ...{ HF_HUB_OFFLINE: '1', HF_HOME: join(dir, 'hf'), OPENAI_API_KEY: 'EMPTY' },
});

describeReal('the stand-in of lm-eval and the real one', ['accuracy'], () => {
  it(
    'leave files of the same names and form',
    async () => {
      const url = await engine();
      const run = async (python: readonly string[], name: string) => {
        const output = join(dir, name);
        const [, ...args] = lmEvalArgv({
          ...{ url, model: 'a/model', tokenizer: null, api: 'completion', tasks: ['tokens'], examples: 8 },
          ...{ shots: 0, tokens: 8, threads: 4, output, seed: 1, includePath: join(dir, 'tasks') },
        });
        const [program = '', ...before] = python;
        await outputOf(program, [...before, ...args], { timeoutMs: 3 * MINUTES, env: offline() });
        const files = await readdir(output, { recursive: true });
        const text = await readFile(
          join(output, files.find((file) => /results_.*json$/.test(file)) ?? ''),
          'utf8',
        );
        return { files: files.map((file) => file.replace(/_\d{4}-.*\./, '_DATE.')).sort(), text };
      };
      const real = await run([pythonOf('accuracy')], 'real');
      const mock = await run(STAND_IN, 'mock');
      expect(mock.files).toEqual(real.files);
      expect(real.files.map((file) => basename(file))).toEqual([
        ...['a__model', 'results_DATE.json', 'samples_tokens_DATE.jsonl'],
      ]);
      const [ofReal, ofMock] = [real.text, mock.text].map(
        (text) => JSON.parse(text) as Record<string, unknown>,
      );
      for (const key of [
        'n-samples',
        'n-shot',
        'versions',
        'higher_is_better',
        'group_subtasks',
        'model_name',
      ])
        expect({ [key]: shapeOf(ofMock?.[key]) }).toEqual({ [key]: shapeOf(ofReal?.[key]) });
      expect(Object.keys(ofReal ?? {})).toEqual(expect.arrayContaining(Object.keys(ofMock ?? {})));
      const [read, stand] = [real.text, mock.text].map((text) => readLmEval(text, ['tokens'], null));
      expect(read).toMatchObject({
        value: [{ metric: 'exact_match,flexible-extract', score: 0.5, samples: 8, available: [QUESTIONS] }],
      });
      expect(stand).toMatchObject({ value: [{ samples: 8 }] });
    },
    5 * MINUTES,
  );
});

describeReal('the stand-in of run_eval and the real one', ['sglang'], () => {
  it(
    'say the same, and leave files of the same form',
    async () => {
      const url = await engine();
      // SGLang imports it for benchmarks that do not run here.
      await mkdir(join(dir, 'without'));
      await writeFile(join(dir, 'without/datasets.py'), 'def load_dataset(*_, **__): raise RuntimeError\n');
      const run = async (python: readonly string[], repeats: number, api: 'chat' | 'completion') => {
        const [, ...args] = runEvalArgv({
          ...{ url, model: 'a/model', api, tasks: ['gsm8k'], examples: 8, shots: 2, tokens: 8, threads: 4 },
          ...{ repeats, topK: 20, temperature: 0.5, dataset: join(dir, 'questions.jsonl') },
        });
        const env = { ...offline(), PYTHONPATH: join(dir, 'without') };
        const [program = '', ...before] = python;
        const said = new RunEvalOutput();
        const text = await outputOf(program, [...before, ...args], { timeoutMs: 4 * MINUTES, env });
        text.split('\n').forEach(said.line);
        const [json, html] = await Promise.all(
          [said.resultFile, said.reportFile].map(async (file = '') => {
            const content = await readFile(file, 'utf8');
            await rm(file);
            return content;
          }),
        );
        expect(html?.split(QUESTION_MARK).length).toBe(8 + 1);
        const read = readRunEval(json ?? '');
        if ('problem' in read) throw new Error(read.problem);
        expect(read.value.latency.toFixed(3)).toBe(said.latency);
        expect(read.value.repeats.length).toBe(repeats);
        expect(said.errors).toBe(0);
        return Object.keys(JSON.parse(json ?? '')).sort();
      };
      for (const [repeats, api] of [
        [1, 'chat'],
        [2, 'completion'],
      ] as const)
        expect(await run(STAND_IN, repeats, api)).toEqual(await run([pythonOf('sglang')], repeats, api));
    },
    10 * MINUTES,
  );
});

describeReal('a real lm-eval in a run with simulated engines', ['accuracy'], () => {
  const modules = {
    'sglang.launch_server': 'simulator',
    'sglang_router.launch_router': 'simulator',
  } as const;
  const jobs = useRealJobs({ python: 'accuracy', modules, env: { SRTCTL_SIM_LOAD_MS: '0' } });

  it(
    'has its score in the result, the lines of results and the report',
    async () => {
      const model = join(jobs.dir, 'model');
      await mkdir(model);
      const job = await jobs.apply({
        name: 'real-lm-eval',
        model: { path: model, container: 'none', precision: 'bf16' },
        resources: { gpu_type: 'cpu', gpus_per_node: 1, agg_nodes: 1, agg_workers: 1 },
        frontend: { type: 'sglang', enable_multiple_frontends: false },
        backend: { type: 'sglang', sglang_config: { aggregated: { 'served-model-name': 'tiny' } } },
        supervision: { check_options: false },
        benchmark: {
          ...{ type: 'lm-eval', num_examples: 10, num_threads: 4, max_tokens: 8 },
          accuracy: { tasks: ['tokens'], include_path: join(dir, 'tasks'), min: 0.5 },
          env: { HF_HUB_OFFLINE: '1', HF_HOME: join(dir, 'hf') },
        },
      });
      expect(await job.ended(), job.said).toBe(0);
      const [result] = await job.results();
      expect(result?.benchmark).toMatchObject({
        ...{ type: 'lm-eval', valid: true },
        accuracy: [{ task: 'tokens', score: 0.5, samples: 10, asked: 10, errors: 0, tool: 'lm-eval' }],
      });
      expect(job.said).toMatch(/tokens.*0\.5000/);
      const command = [resolve('dist/srtctl.js'), 'report', await job.jobDir(), '--markdown'];
      const report = await outputOf(process.execPath, command, { timeoutMs: MINUTES });
      expect(report).toMatch(/## Accuracy[\s\S]*tokens \| 0\.5000/);
      await job.nothingLeft();
    },
    5 * MINUTES,
  );
});
