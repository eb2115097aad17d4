import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { Arguments } from '../common/argv.ts';
import { Fatal } from '../common/fatal.ts';
import { type Answer, askAll, bar, isRight } from './ask.ts';

/** Questions of the real tasks; a stand-in makes up its own. */
const SIZES: Readonly<Record<string, number>> = {
  ...{ gsm8k: 1_319, gpqa_diamond_cot_zeroshot: 198, mmlu_generative: 14_042, aime24: 30, aime25: 30 },
};
const UNKNOWN_SIZE = 100;

const modelArgsSchema = z.object({
  model: z.string(),
  base_url: z.string(),
  num_concurrent: z.number(),
  seed: z.number().optional(),
});
const samplingSchema = z.looseObject({ max_gen_toks: z.number().optional() });

/** `python3 -m lm_eval`: options and files of lm_eval 0.4.13, with a score of its own invention. */
export async function runLmEval(argv: readonly string[]): Promise<void> {
  const args = new Arguments(argv);
  const modelArgs = modelArgsSchema.parse(JSON.parse(args.text('model_args') ?? '{}'));
  const { max_gen_toks: maxTokens = 256, ...sampling } = samplingSchema.parse(
    JSON.parse(args.text('gen_kwargs') ?? '{}'),
  );
  const api = args.text('model') === 'local-chat-completions' ? 'chat' : 'completion';
  const output = args.text('output_path');
  if (output === undefined) throw new Fatal('ValueError: Specify --output_path', { traceback: true });
  const limit = args.text('limit');
  const tasks = (args.text('tasks') ?? '').split(',');
  const began = performance.now();
  const found = new Map<string, { answers: Answer[]; original: number }>();
  for (const task of tasks) {
    const original = SIZES[task] ?? UNKNOWN_SIZE;
    const count = Math.min(Number(limit ?? original), original);
    const questions = Array.from({ length: count }, (_, at) => ({
      api: api as 'chat' | 'completion',
      prompt: `Question: What is ${at} plus ${at}?\nAnswer:`,
    }));
    const answers = await askAll(questions, {
      url: modelArgs.base_url.replace(/\/v1\/.*$/, ''),
      model: modelArgs.model,
      ...{ threads: modelArgs.num_concurrent, maxTokens, sampling },
      onDone: (done) => void process.stderr.write(`\rRequesting API: ${bar(done, count)}`),
    });
    const failed = answers.find(({ error }) => error !== undefined);
    if (failed)
      throw new Fatal(`aiohttp.client_exceptions.ClientResponseError: ${failed.error}`, { traceback: true });
    found.set(task, { answers, original });
  }
  write(output, modelArgs, { args, found, seconds: (performance.now() - began) / 1_000 });
}

function write(
  output: string,
  { model, seed = 0 }: z.infer<typeof modelArgsSchema>,
  {
    args,
    found,
    seconds,
  }: {
    readonly args: Arguments;
    readonly found: ReadonlyMap<string, { readonly answers: readonly Answer[]; readonly original: number }>;
    readonly seconds: number;
  },
): void {
  const of = <T>(value: (task: string, all: { answers: readonly Answer[]; original: number }) => T) =>
    Object.fromEntries([...found].map(([task, all]) => [task, value(task, all)]));
  const right = (all: readonly Answer[]): number[] => all.map((_, at) => Number(isRight(at, seed)));
  const directory = join(output, model.replaceAll(/[^\w.-]/g, '__'));
  const date = new Date().toISOString().replaceAll(':', '-').replace('Z', '000');
  const results = {
    results: of((task, { answers }) => {
      const scores = right(answers);
      const mean = scores.reduce((sum, one) => sum + one, 0) / scores.length;
      const stderr = Math.sqrt((mean * (1 - mean)) / Math.max(scores.length - 1, 1));
      const filters = task === 'gsm8k' ? ['strict-match', 'flexible-extract'] : ['none'];
      return {
        ...{ name: task, alias: task, sample_len: scores.length },
        ...Object.fromEntries(
          filters.flatMap((filter) => [
            [`exact_match,${filter}`, mean],
            [`exact_match_stderr,${filter}`, stderr],
          ]),
        ),
      };
    }),
    group_subtasks: {},
    configs: of((task) => ({ task })),
    versions: of(() => 1),
    'n-shot': of(() => args.integer(0, 'num_fewshot')),
    higher_is_better: of(() => ({ exact_match: true })),
    'n-samples': of((_, { answers, original }) => ({ original, effective: answers.length })),
    config: { model: args.text('model'), limit: args.text('limit') ?? null },
    date: Date.now() / 1_000,
    lm_eval_version: '0.4.13',
    model_source: args.text('model'),
    ...{ model_name: model, model_name_sanitized: model.replaceAll(/[^\w.-]/g, '__') },
    total_evaluation_time_seconds: String(seconds),
  };
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, `results_${date}.json`), JSON.stringify(results, null, 2));
  if (!args.has('log_samples')) return;
  for (const [task, { answers }] of found) {
    const scores = right(answers);
    const lines = answers.map(({ text }, at) =>
      JSON.stringify({ doc_id: at, resps: [[text]], filter: 'none', exact_match: scores[at] }),
    );
    writeFileSync(join(directory, `samples_${task}_${date}.jsonl`), `${lines.join('\n')}\n`);
  }
}
