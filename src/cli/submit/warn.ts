import { RecipeError } from '../../os/errors.ts';
import type { OnProblem } from '../../recipe/source/parse-known.ts';

/** Prints warnings on stderr, each of them once. */
export function warnOnce(): OnProblem {
  const said = new Set<string>();
  return ({ place, message, hint }) => {
    const line = new RecipeError('passed-over', message, {
      place,
      ...(hint === undefined ? {} : { hint }),
    }).oneLine();
    if (said.has(line)) return;
    said.add(line);
    process.stderr.write(`srtctl: warning: ${line}\n`);
  };
}
