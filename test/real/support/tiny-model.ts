import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { type Environment, pythonOf } from './programs.ts';

const SCRIPT = resolve(import.meta.dirname, 'tiny_model.py');

export interface TinyModel {
  /** Number of token ids; default 32,000. */
  readonly vocabulary?: number;
  /** Use a tokenizer that takes as long to load as a large model's. */
  readonly merges?: boolean;
  /** Most token ids decode to nothing. */
  readonly sparse?: boolean;
  readonly architecture?: string;
}

/** Writes a tiny model into `directory` with the tokenizers library of an environment; resolves with the directory. */
export async function tinyModel(
  directory: string,
  python: Exclude<Environment, 'debian' | 'routers' | 'mooncake'>,
  { vocabulary, merges, sparse, architecture }: TinyModel = {},
): Promise<string> {
  await promisify(execFile)(pythonOf(python), [
    SCRIPT,
    directory,
    ...(vocabulary === undefined ? [] : ['--vocabulary', String(vocabulary)]),
    ...(merges ? ['--merges'] : []),
    ...(sparse ? ['--sparse'] : []),
    ...(architecture === undefined ? [] : ['--architecture', architecture]),
  ]);
  return directory;
}
