import { access, constants, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import * as z from 'zod';
import { outputOf } from '../../os/processes/output-of.ts';

/** What an evaluation needs in its image, looked at before engines load. */
export const checkSchema = z.object({
  tool: z.enum(['run_eval', 'lm-eval']),
  tasks: z.array(z.string()),
  api: z.enum(['chat', 'completion']),
  /** Files and directories that the recipe names. */
  paths: z.array(z.string()),
});
export type Check = z.infer<typeof checkSchema>;

const PROBE_MS = 120_000;

/** Prints the file of run_eval, or nothing. The package itself is not imported, because that takes a minute. */
const FIND_RUN_EVAL = `import importlib.util, os
spec = importlib.util.find_spec("sglang")
paths = [os.path.join(d, "test", "run_eval.py") for d in (spec.submodule_search_locations if spec else [])]
print("".join(p for p in paths if os.path.exists(p)))`;

/** Prints the modules that are missing; lm-eval needs the other ones to ask a server. */
const MISSING_OF_LM_EVAL = `import importlib.util
print(" ".join(m for m in ("lm_eval", "aiohttp", "requests", "tenacity", "tqdm") if importlib.util.find_spec(m) is None))`;

/** Data sets of lm-eval's tasks: dataset_path in lm_eval/tasks of 0.4.13. */
const DATA: Readonly<Record<string, string>> = {
  gsm8k: 'openai/gsm8k',
  gpqa_diamond_cot_zeroshot: 'Idavidrein/gpqa',
  mmlu_generative: 'cais/mmlu',
  aime24: 'Maxwell-Jia/AIME_2024',
  aime25: 'math-ai/aime25',
};

/** What is missing, each in a sentence; empty where everything is there. */
export async function missing(check: Check, env: NodeJS.ProcessEnv = process.env): Promise<string[]> {
  const absent = await Promise.all(
    check.paths.map(async (path) =>
      (await canRead(path))
        ? []
        : [`${path} does not exist, or cannot be read, in the image of the benchmark`],
    ),
  );
  const tool = await (check.tool === 'run_eval' ? ofRunEval(check) : ofLmEval(check, env)).catch(
    (error: unknown) => [
      (error as { code?: unknown }).code === 'ENOENT'
        ? 'the image of the benchmark has no python3'
        : `python3 cannot look for the tool: ${error instanceof Error ? error.message.split('\n')[0] : error}`,
    ],
  );
  return [...absent.flat(), ...tool];
}

const python = async (script: string): Promise<string> =>
  (await outputOf('python3', ['-c', script], { timeoutMs: PROBE_MS })).trim();

const canRead = (path: string): Promise<boolean> =>
  access(path, constants.R_OK).then(
    () => true,
    () => false,
  );

async function ofRunEval({ tasks, api }: Check): Promise<string[]> {
  const file = await python(FIND_RUN_EVAL);
  if (file === '')
    return [
      'the image of the benchmark has no sglang.test.run_eval: benchmark.container_image names one that has it, and accuracy.tool: lm-eval another tool',
    ];
  return problemsIn(await readFile(file, 'utf8'), { tasks, api }).map((text) => `${file} ${text}`);
}

/** What the source of a release's run_eval.py says that it cannot do. */
export function problemsIn(source: string, { tasks, api }: Pick<Check, 'tasks' | 'api'>): string[] {
  const [task = ''] = tasks;
  const has = source.includes(`args.eval_name == "${task}"`);
  const elsewhere = source.includes(`_run_sgl_eval("${task}"`);
  return [
    ...(has && !elsewhere
      ? []
      : [`does not evaluate ${task}: older releases of SGLang do, and lm-eval (benchmark.accuracy.tool)`]),
    ...(api === 'completion' && !source.includes('"--api"')
      ? ['has no --api completion: SGLang 0.5.10 and later have it']
      : []),
  ];
}

async function ofLmEval({ tasks }: Check, env: NodeJS.ProcessEnv): Promise<string[]> {
  const modules = await python(MISSING_OF_LM_EVAL);
  if (modules !== '')
    return [
      `the image of the benchmark has no ${modules.replaceAll(' ', ', ')}: pip install "lm_eval[api]", for example in a setup script, or another image in benchmark.container_image`,
    ];
  const isOffline = [env.HF_HUB_OFFLINE, env.HF_DATASETS_OFFLINE].some((value) =>
    /^(1|true|yes|on)$/i.test(value ?? ''),
  );
  if (!isOffline) return [];
  const home = env.HF_HOME ?? join(homedir(), '.cache/huggingface');
  const wanted = tasks.flatMap((task) => DATA[task] ?? []);
  const absent = await Promise.all(
    wanted.map(async (name) => {
      const places = [
        join(home, 'hub', `datasets--${name.replace('/', '--')}`),
        join(env.HF_DATASETS_CACHE ?? join(home, 'datasets'), name.replace('/', '___').toLowerCase()),
        join(env.HF_DATASETS_CACHE ?? join(home, 'datasets'), name.replace('/', '___')),
      ];
      return (await Promise.all(places.map(canRead))).includes(true) ? [] : [name];
    }),
  );
  return absent
    .flat()
    .map((name) => `HF_HUB_OFFLINE forbids to download the data set ${name}, and ${home} does not have it`);
}
