import { RecipeError } from '../../os/errors.ts';
import type { ReadOptions } from './source.ts';

/** How files are read in this environment: whether a duplicate key is an error or a line for `warn`. */
export function readOptions(
  env: Readonly<Record<string, string | undefined>>,
  warn: (line: string) => void,
): ReadOptions {
  const allowed = !['', '0', 'false', 'no'].includes(env.SRTCTL_ALLOW_DUPLICATE_KEYS?.toLowerCase() ?? '');
  if (!allowed) return {};
  return {
    onDuplicateKey: ({ message, place }) =>
      warn(new RecipeError('duplicate-key', `${message}: the last one counts`, { place }).oneLine()),
  };
}
