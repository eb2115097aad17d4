import { tailOf } from '../../os/log-tail.ts';
import { errorLine } from '../../why/error-line.ts';
import { readSignatures, type Signature } from '../../why/signatures.ts';

const SEARCHED_LINES = 100;

/**
 * The line of a step's log that tells why it could not begin, or its last lines, in parentheses; empty when it has none.
 * For people and the catalogue alone: nothing depends on what srun says. pyxis ends with several lines that only say that
 * it failed, and what failed stands above them.
 */
export async function lastWords(logFile: string, catalogue: string): Promise<string> {
  const text = await tailOf(logFile, SEARCHED_LINES).then(
    (piece) => piece.text.trim(),
    () => '',
  );
  const line = errorLine(text, knownIn(catalogue));
  const words = line && line.weight !== 'last' ? line.text : text.split('\n').slice(-3).join('\n');
  return words === '' ? '' : ` (${words.replaceAll(/\s*\n\s*/g, ' / ')})`;
}

/** An agent's end must be told also where the catalogue cannot be read. */
function knownIn(catalogue: string): Signature[] {
  try {
    return readSignatures(catalogue);
  } catch {
    return [];
  }
}
