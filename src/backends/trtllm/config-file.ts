import { stringify } from 'yaml';

/**
 * Options of TensorRT-LLM as its config file. Python reads YAML 1.1, where a bare `on` or `1:30` is no text,
 * so such text is quoted. Keys are sorted, so that the same options give the same file.
 */
export function configYaml(options: Readonly<Record<string, unknown>>): string {
  const known = written.get(options);
  if (known !== undefined) return known;
  const text = stringify(options, {
    version: '1.1',
    sortMapEntries: true,
    lineWidth: 0,
    aliasDuplicateObjects: false,
  });
  written.set(options, text);
  return text;
}

/**
 * Cached, because all endpoints of a mode have the same options, and writing them is a good part of planning.
 */
const written = new WeakMap<object, string>();
