/** Numbers that Python writes and JSON does not have, where a value stands. */
const NO_JSON = /(?<=[:[,]\s*)(?:-?Infinity|NaN)(?=\s*[,}\]])/g;

/**
 * Parses JSON as Python's json module writes it: SGLang's client states no rate as `Infinity`, which is read as null.
 * @throws SyntaxError for what is no JSON otherwise
 */
export function parsePythonJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return JSON.parse(text.replaceAll(NO_JSON, 'null'));
  }
}
