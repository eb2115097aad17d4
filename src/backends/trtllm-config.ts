import { stringify } from 'yaml';

/**
 * Options of TensorRT-LLM as the file that it reads. Python's YAML is of version 1.1, where a bare `on` or `1:30` is
 * no text: such text is quoted. Keys are sorted, so that the same options are the same file.
 */
export const configYaml = (options: Readonly<Record<string, unknown>>): string =>
  stringify(options, {
    version: '1.1',
    sortMapEntries: true,
    lineWidth: 0,
    aliasDuplicateObjects: false,
  });
