import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import type * as z from 'zod';

/**
 * The directory of a model's files: its own, or that in the hub's cache when `model` is `org/name`. undefined
 * when the cache lacks it. (https://huggingface.co/docs/huggingface_hub/guides/manage-cache)
 */
export async function directoryOf(
  model: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<string | undefined> {
  if (isAbsolute(model) || model.startsWith('.')) return model;
  const home = env.HF_HOME ?? join(env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'huggingface');
  const cache = env.HF_HUB_CACHE ?? join(home, 'hub');
  const directory = join(cache, `models--${model.replaceAll('/', '--')}`);
  const commit = await readFile(join(directory, 'refs/main'), 'utf8').catch(() => undefined);
  return commit === undefined ? undefined : join(directory, 'snapshots', commit.trim());
}

/** A JSON file of that shape; undefined when it is missing or has another one. */
export async function readJson<T>(file: string, schema: z.ZodType<T>): Promise<T | undefined> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
