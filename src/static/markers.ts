import { PlanError } from '../os/errors.ts';
import { shellQuote } from '../os/quote.ts';

/**
 * A plan contains a marker for each value that only the running script knows (names and addresses of nodes,
 * the job's id). A marker is a text that occurs nowhere else in the rendered script, and becomes a variable
 * of the script.
 */
export interface Markers {
  node(index: number): string;
  address(index: number): string;
  readonly jobId: string;
  readonly tmpDir: string;
  /** The Node binary for the head node's architecture. */
  readonly nodeBinary: string;
  /** A text as one word of bash: markers become variables, the rest is quoted. */
  word(text: string): string;
  words(texts: readonly string[]): string;
  /** Index of the node whose name the marker stands for. */
  indexOf(node: string): number;
}

const NUL = '\0';

/**
 *
 * @param around the rendered input that may contain text of other people: no marker may occur in it
 * @param outputs parent of the job's directory: `<outputs>/<job id>` reads better as $job_dir
 */
export function createMarkers(around: string, outputs: string): Markers {
  let prefix = '@srt-';
  for (let number = 1; around.includes(prefix); number++) prefix = `@srt${number}-`;
  const marker = (name: string): string => `${prefix}${name}@`;
  const jobId = marker('job-id');
  const known = new Map<string, string>([
    [`${outputs}/${jobId}`, '$job_dir'],
    [jobId, '$job_id'],
    [marker('tmp-dir'), '$tmp_dir'],
    [marker('node-binary'), '$node_binary'],
  ]);
  const pattern = new RegExp(
    `(${[...known.keys()].map(escapeRegExp).join('|')}|${escapeRegExp(prefix)}(?:node|address)-\\d+@)`,
  );
  const variable = (text: string): string => {
    const found = known.get(text);
    if (found !== undefined) return `"${found}"`;
    const [, kind, index] = /(node|address)-(\d+)@$/.exec(text) ?? [];
    return kind === 'node' ? `"\${nodes[${index}]}"` : `"\${addresses[${index}]}"`;
  };
  const word = (text: string): string => {
    if (text.includes(NUL))
      throw new PlanError('nul-byte', 'a command or an environment of the recipe has a NUL byte in it');
    if (text === '') return "''";
    return text
      .split(pattern)
      .map((part, at) => (at % 2 === 1 ? variable(part) : part === '' ? '' : shellQuote(part)))
      .join('');
  };
  return {
    node: (index) => marker(`node-${index}`),
    address: (index) => marker(`address-${index}`),
    jobId,
    tmpDir: marker('tmp-dir'),
    nodeBinary: marker('node-binary'),
    word,
    words: (texts) => texts.map(word).join(' '),
    indexOf: (node) => Number(/node-(\d+)@$/.exec(node)?.[1] ?? 0),
  };
}

const escapeRegExp = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
