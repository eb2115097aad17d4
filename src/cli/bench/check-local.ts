import { accessSync, constants, existsSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { CONFIG_FILE } from '../../benchmarks/sa-bench-settings.ts';
import { SrtctlError } from '../../os/errors.ts';
import type { BenchOptions } from './settings.ts';

/**
 * Checks what options name on this machine, before anything is sent.
 * @throws SrtctlError that names the option
 */
export function checkLocal(options: BenchOptions & { readonly output?: string }): void {
  const { tokenizer, datasetPath, apiKeyEnv, caFile, output } = options;
  if (datasetPath !== undefined) requireFile('--dataset-path', datasetPath);
  if (caFile !== undefined) requireFile('--ca-file', caFile);
  // A name without a leading `/` or `.` may be one of the hub's cache.
  if (tokenizer !== undefined && /^[/.]/.test(tokenizer))
    requireFile('--tokenizer', join(tokenizer, 'tokenizer.json'));
  if (apiKeyEnv !== undefined && !process.env[apiKeyEnv])
    throw usage(`--api-key-env ${apiKeyEnv}: the environment has no such variable`);
  if (output !== undefined && hasResults(resolve(output)))
    throw usage(`--output ${output}: has results of an earlier run, which would be mixed with these`);
}

function requireFile(option: string, path: string): void {
  try {
    accessSync(path, constants.R_OK);
  } catch (error) {
    throw usage(`${option}: ${path} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  if (!statSync(path).isFile()) throw usage(`${option}: ${path} is no file`);
}

/** Results of one run are in the directory itself, those of several rates below it. */
function hasResults(directory: string): boolean {
  if (!existsSync(directory) || !statSync(directory).isDirectory()) return false;
  return readdirSync(directory).some((name) => name === CONFIG_FILE || /^rate-[\d.]+$/.test(name));
}

const usage = (text: string): SrtctlError => new SrtctlError('usage', text);
