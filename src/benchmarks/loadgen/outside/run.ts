import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import type { ServingResult } from '../../../messages/job-directory/serving-result.ts';
import { readAiperf } from '../../../other-clients/aiperf.ts';
import type { ClientFigures } from '../../../other-clients/figures.ts';
import { parsePythonJson } from '../../../other-clients/python-json.ts';
import { readSglang } from '../../../other-clients/sglang.ts';
import { readVllm } from '../../../other-clients/vllm.ts';
import { commandOf, type OutsideCommand } from './command.ts';
import { servingOf } from './result.ts';
import type { OutsideAsked, OutsideClient, OutsideName } from './settings.ts';

/** What the caller knows of the concurrency. */
export interface OutsideStep {
  readonly config: OutsideAsked & { readonly client: OutsideClient };
  readonly model: string;
  readonly concurrency: number;
  readonly requests: number;
  readonly warmups: number;
}

/**
 * Runs another client for one concurrency, and reads its figures.
 * @throws Error when it cannot be run, ends with another code than 0, or leaves no figures
 */
export async function runOutside(
  { config, model, concurrency, requests, warmups }: OutsideStep,
  signal: AbortSignal,
): Promise<ServingResult> {
  const { name, args } = config.client;
  const directory = join(config.resultDir, `${name}_concurrency_${concurrency}`);
  // Files of an earlier try would be taken for this one's.
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  const command = commandOf[name]({ config, model, concurrency, requests, warmups, directory, args });
  await writeFileAtomic(join(directory, 'command.json'), `${JSON.stringify(command.argv, null, 2)}\n`);
  await run(name, command, directory, config, signal);
  const { by, figures } = await read(name, command.resultFile);
  return servingOf(figures, by, { ...config, concurrency, requests });
}

/** Its progress bars move so often, in seconds, because each step is a line of the log. */
const BAR_S = 2;

async function run(
  name: OutsideName,
  { argv, without = [] }: OutsideCommand,
  directory: string,
  { apiKeyEnv }: OutsideAsked,
  signal: AbortSignal,
): Promise<void> {
  const [program, ...rest] = argv;
  // Both clients that take a key read it there.
  const key = apiKeyEnv === null ? {} : { OPENAI_API_KEY: process.env[apiKeyEnv]?.trim() ?? '' };
  const inherited = Object.fromEntries(
    Object.entries(process.env).filter(([variable]) => !without.includes(variable)),
  );
  // aiperf 0.13.0 leaves a directory there each time. The path is short, because the clients have sockets in it.
  const scratch = await mkdtemp(join(tmpdir(), 'srtctl-client-'));
  const child = spawn(program, rest, {
    cwd: directory,
    env: { ...inherited, TMPDIR: scratch, TQDM_MININTERVAL: String(BAR_S), NO_COLOR: '1', ...key },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const stop = (): void => void child.kill('SIGTERM');
  signal.addEventListener('abort', stop, { once: true });
  try {
    const [code, killed] = await new Promise<[number | null, string | null]>((resolve, reject) => {
      child.once('error', (error: NodeJS.ErrnoException) =>
        reject(
          error.code === 'ENOENT'
            ? new Error(
                `benchmark.client: ${program} is not on the PATH of the benchmark: name an image that has it (benchmark.container_image)`,
              )
            : error,
        ),
      );
      child.once('close', (status, by) => resolve([status, by]));
    });
    signal.throwIfAborted();
    if (code !== 0)
      throw new Error(`${name} ended with ${killed ?? `exit code ${code}`}: its words are above in this log`);
  } finally {
    signal.removeEventListener('abort', stop);
    await rm(scratch, { recursive: true, force: true });
  }
}

async function read(name: OutsideName, file: string): Promise<{ by: string; figures: ClientFigures }> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new Error(`${name} left no figures in ${file} (${error.code})`);
  });
  let value: unknown;
  try {
    value = parsePythonJson(text);
  } catch (error) {
    throw new Error(`${file} of ${name} is not JSON: ${(error as Error).message}`);
  }
  const found = READERS[name](value);
  if (!found) throw new Error(`${file} of ${name} has another form than the releases that srtctl knows`);
  return found;
}

const READERS: Readonly<
  Record<OutsideName, (value: unknown) => { by: string; figures: ClientFigures } | undefined>
> = {
  aiperf: (value) => {
    const found = readAiperf(value);
    return (
      found && { by: found.version === null ? 'aiperf' : `aiperf ${found.version}`, figures: found.figures }
    );
  },
  'sglang-bench': (value) => {
    const figures = readSglang(value);
    return figures && { by: 'sglang.bench_serving', figures };
  },
  'vllm-bench': (value) => {
    const figures = readVllm(value);
    return figures && { by: 'vllm bench serve', figures };
  },
};
