import { tailOf } from '../../os/log-tail.ts';
import { errorLine } from '../../why/error-line.ts';
import { readSignatures, type Signature } from '../../why/signatures.ts';

const SEARCHED_LINES = 100;

/**
 * The line of a step's log that says why the step could not begin, or the log's last lines, in parentheses; empty when
 * the log is empty. Only people and the catalogue read it: no decision depends on srun's messages. pyxis ends with
 * several lines that only say that it failed; the reason stands above them.
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

/** An agent's end must also be reported when the catalogue cannot be read. */
function knownIn(catalogue: string): Signature[] {
  try {
    return readSignatures(catalogue);
  } catch {
    return [];
  }
}
