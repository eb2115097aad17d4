import type { Command } from 'commander';
import type { ResultLine } from '../../benchmarks/common/result-lines.ts';
import { EXIT, SrtctlError } from '../../os/errors.ts';
import type { BenchOutcome } from '../bench/run.ts';
import type { BenchOptions } from '../bench/settings.ts';
import { writeExactly } from '../terminal/terminal.ts';

interface Options extends BenchOptions {
  readonly output?: string;
  readonly json?: boolean;
  readonly csv?: boolean;
}

export function registerBench(program: Command): void {
  program
    .command('bench')
    .description(
      'Measure a server that runs already, with the load generator of sa-bench; no recipe, no job.',
    )
    .requiredOption('--url <url>', 'the server, for example http://localhost:8000')
    .option('--model <name>', 'name of the model in requests (default: the only one that /v1/models lists)')
    .option('--isl <tokens>', 'input length in tokens')
    .option('--osl <tokens>', 'output length in tokens')
    .option('--concurrency <list>', 'requests in flight, one run for each: 1x4x16')
    .option('--rate <list>', 'requests per second, one run for each: 2x4x8 (at most 1024 in flight)')
    .option('--requests <n>', 'requests of a run (default: 10 for each in flight; with a rate 60 s)')
    .option('--duration <seconds>', 'send requests for this long')
    .option(
      '--tokenizer <directory>',
      "directory with the model's tokenizer.json, or org/name in the hub's cache: prompts have exactly --isl tokens",
    )
    .option('--chat', 'ask /v1/chat/completions, so that the server applies its template')
    .option('--token-ids', 'prompts are token ids (vLLM, Dynamo); without it text, which every server takes')
    .option('--dataset <name>', 'random (the default), custom (JSON lines) or sharegpt')
    .option('--dataset-path <file>', 'file of the data set')
    .option('--slo <limits>', 'limits in ms of a good request, for goodput: ttft=500,itl=50,e2e=20000')
    .option('--gpus <n>', 'GPUs of the server, for tokens/s/GPU')
    .option('--seed <n>', 'what prompts follow from (default: 0)')
    .option(
      '--client <name>',
      'aiperf, sglang-bench or vllm-bench of PATH measures instead (with --tokenizer)',
    )
    .option('--api-key-env <name>', 'variable of the environment with the API key')
    .option('--ca-file <file>', 'certificates (PEM) to trust besides those of the system')
    .option('--set <key=value>', 'any other key of benchmark in a recipe (repeatable)', collect, [])
    .option('--output <directory>', 'keep results and a line for each request in this directory')
    .option('--json', 'one JSON object a line, one for each concurrency and rate')
    .option('--csv', 'comma-separated values')
    .addHelpText(
      'after',
      `
Exit code 0 when all figures are valid, 1 when one is not or the server cannot be measured, 2 for wrong usage, 130 after
Ctrl-C (what was finished is printed). With --json and --csv progress goes to standard error.

Examples:
  srtctl bench --url http://localhost:8000 --isl 1024 --osl 128 --concurrency 1x4x16
  srtctl bench --url http://localhost:8000 --isl 1024 --osl 128 --rate 2x4x8 --slo ttft=500,itl=50
  srtctl bench --url http://localhost:8000 --isl 512 --osl 64 --concurrency 8 --tokenizer /models/qwen3 --json`,
    )
    .action(bench);
}

const collect = (text: string, texts: readonly string[]): string[] => [...texts, text];

async function bench(options: Options): Promise<void> {
  if (options.csv && options.json)
    throw new SrtctlError('usage', '--csv and --json: use only one of the two options');
  const { runsOf } = await import('../bench/settings.ts');
  const { runBench } = await import('../bench/run.ts');
  const { mkdtemp, rm } = await import('node:fs/promises');
  const { tmpdir } = await import('node:os');
  const { join, resolve } = await import('node:path');
  const runs = runsOf(options);
  const { checkLocal } = await import('../bench/check-local.ts');
  checkLocal(options);
  const stop = new AbortController();
  let signalled: NodeJS.Signals | undefined;
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      signalled ??= signal;
      stop.abort();
    });
  const home = options.output ? resolve(options.output) : await mkdtemp(join(tmpdir(), 'srtctl-bench-'));
  const isForPrograms = options.json === true || options.csv === true;
  const outcomes: BenchOutcome[] = [];
  try {
    for (const run of runs) {
      const output = isForPrograms ? process.stderr : process.stdout;
      outcomes.push(await runBench(run, join(home, run.name), output, stop.signal));
      if (stop.signal.aborted) break;
    }
    const { resultLines, toCsv } = await import('../../benchmarks/common/result-lines.ts');
    const lines = outcomes.flatMap(({ result }, ordinal) => linesOf(resultLines, result, ordinal, runs));
    if (options.json) writeExactly(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    else if (options.csv) writeExactly(toCsv(lines));
    else writeExactly(verdictsOf(outcomes));
  } finally {
    if (!options.output) await rm(home, { recursive: true, force: true });
  }
  const areValid = outcomes.every(({ result, exitCode }) => exitCode === 0 && result?.valid === true);
  process.exitCode =
    signalled === 'SIGINT'
      ? EXIT.interrupted
      : signalled === 'SIGTERM'
        ? EXIT.terminated
        : areValid
          ? EXIT.ok
          : EXIT.failed;
}

/** Figures in the form of results.jsonl; the fields of a job are those of a run here. */
function linesOf(
  resultLines: typeof import('../../benchmarks/common/result-lines.ts')['resultLines'],
  result: BenchOutcome['result'],
  ordinal: number,
  runs: readonly { readonly name: string }[],
): ResultLine[] {
  if (!result) return [];
  const cause = result.reason === undefined ? null : { summary: result.reason };
  const status = result.valid ? ('done' as const) : ('failed' as const);
  return resultLines({
    ...{ job: 'bench', ordinal, name: runs[ordinal]?.name ?? '', params: null, attempt: 1 },
    ...{ status, benchmark: result, cause },
  });
}

/** Why figures do not count, for people; the load generator has printed the figures themselves. */
function verdictsOf(outcomes: readonly BenchOutcome[]): string {
  return outcomes
    .map(({ name, result }) => {
      const run = name === '' ? '' : `${name}: `;
      if (!result) return `${run}no figures\n`;
      if (!result.valid) return `${run}not valid: ${result.reason}\n`;
      const unknown = result.serving.flatMap(({ validity }) => validity?.unknown ?? []);
      const open = [
        ...new Map(
          unknown.map(({ what, why }) => [what, `  not checked: ${what}, because ${why}\n`]),
        ).values(),
      ];
      return `${run}valid\n${open.join('')}`;
    })
    .join('');
}
