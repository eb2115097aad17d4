import { readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Arguments } from '../common/argv.ts';
import { Fatal } from '../common/fatal.ts';
import { type Answer, askAll, bar, isRight, type Question } from './ask.ts';

/** Questions of the real data sets; a stand-in makes up its own. */
const SIZES: Readonly<Record<string, number>> = { gsm8k: 1_319, gpqa: 198, mmlu: 14_042, longbench_v2: 503 };

const KNOWN = [
  ...['base-url', 'host', 'port', 'model', 'repeat', 'eval-name', 'api', 'num-examples', 'num-threads'],
  ...['max-tokens', 'temperature', 'top-p', 'top-k', 'min-p', 'num-shots', 'gsm8k-data-path'],
  ...['dataset-path', 'categories', 'max-context-length', 'min-context-length'],
];

/**
 * `python3 -m sglang.test.run_eval`: options, output and files of SGLang 0.5.18, the last release with all evaluations.
 * Only the names of its files in /tmp differ: each run has its own.
 */
export async function runEvaluation(argv: readonly string[]): Promise<void> {
  const args = new Arguments(argv);
  const unknown = argv.filter(
    (word) => word.startsWith('--') && !KNOWN.includes(word.slice(2).split('=')[0] ?? ''),
  );
  if (unknown.length > 0)
    throw new Fatal(
      `usage: run_eval.py [-h]\nrun_eval.py: error: unrecognized arguments: ${unknown.join(' ')}`,
      {
        exitCode: 2,
      },
    );
  const name = args.text('eval-name') ?? 'mmlu';
  const size = SIZES[name];
  if (size === undefined) throw new Fatal(`ValueError: Invalid eval name: ${name}`, { traceback: true });
  const questions = questionsOf(name, size, args);
  const model = args.text('model') ?? '';
  const threads = args.integer(512, 'num-threads');
  const repeats = args.integer(1, 'repeat');
  const say = (text: string): void => void process.stdout.write(`${text}\n`);
  say(`ChatCompletionSampler initialized with self.system_message=None`);
  const began = performance.now();
  const all: Answer[][] = [];
  const scores: number[][] = [];
  for (let repeat = 0; repeat < repeats; repeat++) {
    const answers = await askAll(questions, {
      ...{ model, threads, url: args.text('base-url') ?? '' },
      maxTokens: args.integer(2_048, 'max-tokens'),
      sampling: {
        temperature: Number(args.text('temperature') ?? 0),
        top_p: Number(args.text('top-p') ?? 1),
      },
      onDone: (done) => void process.stderr.write(`\r${bar(done, questions.length)}`),
    });
    for (const { error, refused } of answers)
      if (error !== undefined)
        say(
          refused
            ? `Bad Request Error ${error}`
            : 'All retry attempts exhausted for request. Returning empty response.',
        );
    all.push(answers);
    scores.push(answers.map(({ error }, at) => Number(error === undefined && isRight(at, repeat))));
  }
  const latency = (performance.now() - began) / 1_000 / repeats;
  write(
    { name, model, latency, questions, scores, tokens: all.flat().reduce((sum, one) => sum + one.tokens, 0) },
    say,
  );
}

function questionsOf(name: string, size: number, args: Arguments): Question[] {
  const api = args.text('api') === 'completion' ? 'completion' : 'chat';
  const shots = name === 'gsm8k' ? args.integer(5, 'num-shots') : 0;
  const file = args.text('gsm8k-data-path');
  const texts = file === undefined ? madeUp(size) : linesOf(file);
  const left = texts.slice(shots);
  const examples = args.integer(left.length, 'num-examples');
  if (name !== 'gsm8k' && examples > left.length)
    throw new Fatal('ValueError: Sample larger than population or is negative', { traceback: true });
  return left.slice(0, examples).map((text) => ({ api, prompt: `Question: ${text}\nAnswer:` }));
}

const madeUp = (size: number): string[] =>
  Array.from({ length: size }, (_, at) => `What is ${at} plus ${at}?`);

function linesOf(file: string): string[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    throw new Fatal(`FileNotFoundError: [Errno 2] No such file or directory: '${file}'`, { traceback: true });
  }
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => String((JSON.parse(line) as { question?: unknown }).question));
}

interface Ended {
  readonly name: string;
  readonly model: string;
  readonly latency: number;
  readonly questions: readonly Question[];
  /** Of each repeat. */
  readonly scores: readonly (readonly number[])[];
  readonly tokens: number;
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

function write({ name, model, latency, scores, tokens }: Ended, say: (text: string) => void): void {
  const means = scores.map(mean);
  const last = scores.at(-1) ?? [];
  const score = means.at(-1) ?? 0;
  const std = Math.sqrt(mean(last.map((value) => (value - score) ** 2)));
  const output_throughput = tokens / latency / scores.length;
  const texts = means.map((value) => value.toFixed(3));
  const isOne = scores.length === 1;
  const metrics = isOne
    ? { 'score:std': std, score, latency, output_throughput }
    : { 'score:std': std, scores: texts, mean_score: mean(means), latency, output_throughput };
  if (isOne) say(`Total latency: ${latency.toFixed(3)} s\nScore: ${score.toFixed(3)}`);
  else {
    say(`${'='.repeat(20)}\nRepeat: ${scores.length}, mean: ${mean(means).toFixed(3)}`);
    say(`Scores: [${texts.map((text) => `'${text}'`).join(', ')}]\nMean latency: ${latency.toFixed(3)} s`);
  }
  const stem = join(tmpdir(), `${name}_${model.replaceAll('/', '_')}.${process.pid}`);
  say(`Writing report to ${stem}.html`);
  writeFileSync(`${stem}.html`, last.map((value) => `<p>Score: ${value.toFixed(1)}</p>\n<hr>\n`).join(''));
  writeFileSync(`${stem}.json`, JSON.stringify(metrics, null, 2));
  say(`Writing results to ${stem}.json`);
}
