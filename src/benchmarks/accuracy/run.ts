import { createReadStream } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import type { AccuracyResult } from '../../messages/job-directory/accuracy-result.ts';
import { type AccuracyConfig, TOOL_DIR } from './config.ts';
import { readLmEval, type TaskFigures } from './lm-eval.ts';
import { Progress } from './progress.ts';
import type { ToolResult } from './result.ts';
import { QUESTION_MARK, RunEvalOutput, readRunEval } from './run-eval.ts';
import { meanAndDeviation } from './statistics.ts';
import { runTool } from './tool.ts';

/** Questions of gsm8k's test set, which run_eval uses. */
const GSM8K_LINES = 1_319;

/** What both tools send to a server that asks for no key. */
const NO_KEY = 'EMPTY';

/**
 * Runs the tool, and moves what it wrote into the point's directory.
 * @throws Error when the tool fails, or ends without a result
 */
export async function evaluate(config: AccuracyConfig, signal: AbortSignal): Promise<ToolResult> {
  const { resultDir } = config;
  await mkdir(join(resultDir, TOOL_DIR), { recursive: true });
  const env = environmentOf(config);
  const progress = new Progress(config);
  const result = await (config.tool === 'run_eval' ? byRunEval : byLmEval)(config, { env, progress, signal });
  progress.end();
  return result;
}

interface Run {
  readonly env: NodeJS.ProcessEnv;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** The key, and no proxy on the way to a node of this job. */
function environmentOf({ apiKeyEnv, url }: AccuracyConfig): NodeJS.ProcessEnv {
  const key = apiKeyEnv === null ? process.env.OPENAI_API_KEY : process.env[apiKeyEnv];
  if (apiKeyEnv !== null && !key) throw new Error(`benchmark.api_key_env: ${apiKeyEnv} is not set`);
  const direct = [process.env.no_proxy ?? process.env.NO_PROXY, new URL(url).hostname]
    .filter(Boolean)
    .join(',');
  return {
    ...process.env,
    OPENAI_API_KEY: key || NO_KEY,
    ...{ no_proxy: direct, NO_PROXY: direct },
    // Else Python keeps its output to itself until it ends.
    PYTHONUNBUFFERED: '1',
  };
}

async function byRunEval(config: AccuracyConfig, { env, progress, signal }: Run): Promise<ToolResult> {
  const [argv = []] = config.runs;
  const { resultDir, tasks, repeats, dataFile } = config;
  const output = new RunEvalOutput();
  const begin = Date.now();
  await runTool(argv, {
    ...{ cwd: resultDir, env, signal },
    onLine(text) {
      output.line(text);
      progress.line(text);
    },
  });
  if (output.resultFile === undefined)
    throw new Error('run_eval has ended well and named no file with a result');
  const { mtimeMs } = await stat(output.resultFile);
  const text = await readFile(output.resultFile, 'utf8');
  const read = readRunEval(text);
  if ('problem' in read) throw new Error(`${output.resultFile} is not a result of run_eval: ${read.problem}`);
  const { score, std, latency, others } = read.value;
  // Another run on this machine with the same model and evaluation writes the same file in /tmp.
  if (mtimeMs < begin - 1_000 || (output.latency !== undefined && latency.toFixed(3) !== output.latency))
    throw new Error(`${output.resultFile} is the result of another run on this machine`);
  const artifacts = [await keep(output.resultFile, resultDir)];
  let samples: number | null = null;
  if (output.reportFile !== undefined) {
    samples = await countIn(output.reportFile, QUESTION_MARK);
    artifacts.push(await keep(output.reportFile, resultDir));
  }
  // A score of one run has all its digits; those of several have three.
  const found = repeats > 1 ? read.value.repeats : [score];
  const accuracy: AccuracyResult = {
    tool: 'run_eval',
    task: tasks[0] ?? config.type,
    metric: repeats > 1 ? 'mean_score' : 'score',
    score,
    stderr: std !== null && samples ? std / Math.sqrt(samples) : null,
    samples,
    asked: await askedOf(config, dataFile),
    repeats: found,
    deviation: meanAndDeviation(found).deviation,
    errors: output.errors,
    truncated: null,
    durationS: (Date.now() - begin) / 1_000,
    others,
  };
  return { accuracy: [accuracy], artifacts };
}

/** run_eval takes its examples from the questions of gsm8k, so that fewer are left than a recipe may ask for. */
async function askedOf(
  { asked, type, shots }: AccuracyConfig,
  dataFile: string | null,
): Promise<number | null> {
  if (asked === null || !type.startsWith('gsm8k')) return type === 'longbenchv2' ? null : asked;
  const lines = dataFile === null ? GSM8K_LINES : await linesOf(dataFile);
  return Math.max(Math.min(asked, lines - shots), 0);
}

/** Lines that are no comments, as SGLang reads them. */
const linesOf = async (file: string): Promise<number> =>
  (await readFile(file, 'utf8')).split('\n').filter((line) => line !== '' && !line.startsWith('#')).length;

async function byLmEval(config: AccuracyConfig, { env, progress, signal }: Run): Promise<ToolResult> {
  const { runs, outputs, tasks, metric, resultDir, asked } = config;
  const all: TaskFigures[][] = [];
  const artifacts: string[] = [];
  const begin = Date.now();
  for (const [at, argv] of runs.entries()) {
    const output = outputs[at] ?? resultDir;
    progress.begin(at);
    await runTool(argv, { cwd: resultDir, env, signal, onLine: progress.line });
    const files = await filesBelow(output);
    const file = files.find((name) => /^results_.*\.json$/.test(basename(name)));
    if (file === undefined) throw new Error(`lm-eval has ended well and left no result in ${output}`);
    const read = readLmEval(await readFile(file, 'utf8'), tasks, metric);
    if ('problem' in read) throw new Error(`${file} is not a result of lm-eval: ${read.problem}`);
    all.push(read.value);
    artifacts.push(...files.map((name) => relative(resultDir, name)));
  }
  const durationS = (Date.now() - begin) / 1_000;
  const accuracy = tasks.flatMap((_, at): AccuracyResult[] => {
    const runsOfTask = all.flatMap((figures) => figures[at] ?? []);
    const [first] = runsOfTask;
    if (!first) return [];
    const repeats = runsOfTask.map(({ score }) => score);
    const { mean, deviation } = meanAndDeviation(repeats);
    return [
      {
        tool: 'lm-eval',
        ...{ task: first.task, metric: first.metric, stderr: first.stderr, others: first.others },
        ...{ score: mean, repeats, deviation, durationS },
        samples: Math.min(...runsOfTask.map(({ samples }) => samples)),
        asked: asked === null ? null : askedOfTask(first, asked),
        // It would have ended with an error.
        errors: 0,
        truncated: null,
      },
    ];
  });
  return { accuracy, artifacts };
}

/** `--limit` is one of each task below a group; a task may have fewer questions. */
const askedOfTask = ({ available }: TaskFigures, limit: number): number =>
  available.reduce((sum, count) => sum + Math.min(count, limit), 0);

async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** Moves a file of the tool into the point's directory; returns its name relative to it. */
async function keep(file: string, resultDir: string): Promise<string> {
  const name = join(TOOL_DIR, basename(file));
  await copyFile(file, join(resultDir, name));
  await rm(file, { force: true });
  return name;
}

/** How many times a text is in a file, which may be large. */
async function countIn(file: string, text: string): Promise<number> {
  let count = 0;
  let rest = '';
  for await (const chunk of createReadStream(file, 'utf8')) {
    const parts = `${rest}${chunk as string}`.split(text);
    count += parts.length - 1;
    rest = (parts.at(-1) ?? '').slice(-(text.length - 1));
  }
  return count;
}
