import { servingResultSchema } from '../../messages/job-directory/serving-result.ts';
import { readAiperf } from '../../other-clients/aiperf.ts';
import type { ClientFigures } from '../../other-clients/figures.ts';
import { parsePythonJson } from '../../other-clients/python-json.ts';
import { readSglang } from '../../other-clients/sglang.ts';
import { readVllm } from '../../other-clients/vllm.ts';
import type { Row, Source } from '../model/report.ts';
import { rowOf } from '../model/row.ts';
import { type ForeignContext, foreignRow } from './row.ts';

/** The files that reports read beside jobs, for messages. */
export const KNOWN_FILES =
  'results_concurrency_N.json of sa-bench, the file of `vllm bench serve --save-result`, the JSONL file of sglang.bench_serving, profile_export_aiperf.json';

/**
 * The results in a file of another tool; undefined when its form is not known.
 * @param name what the source is called, as the file's path
 */
export function sourceOfFile(name: string, text: string, context: ForeignContext): Source | undefined {
  const values = valuesIn(text);
  if (!values || values.length === 0) return undefined;
  const read = values.map((value, at) => readOne(value, at, context));
  const known = read.filter((one) => one !== undefined);
  const [first] = known;
  if (!first || known.length < read.length) return undefined;
  const rows = known.map(({ row }) => row);
  return {
    id: name,
    tool: first.tool,
    name,
    state: 'a file',
    ...{ exitCode: null, submittedAt: null, tags: [], cause: null, warnings: [], environment: [] },
    ...{ recipe: null, varied: [], timeline: null },
    points: [
      {
        ...{ ordinal: 0, name, params: null, status: 'done', attempt: 1, startedAt: null, finishedAt: null },
        valid: rows.every(({ valid }) => valid),
        reason: rows.flatMap(({ reasons }) => reasons)[0] ?? null,
        ...{ cause: null, own: {}, caches: [], notDone: [], lost: [], restarts: [], kills: [] },
        rows,
      },
    ],
  };
}

/** One JSON value, or one on each line. */
function valuesIn(text: string): unknown[] | undefined {
  try {
    return [parsePythonJson(text)];
  } catch {
    try {
      return text
        .split('\n')
        .filter((line) => line.trim() !== '')
        .map((line) => parsePythonJson(line));
    } catch {
      return undefined;
    }
  }
}

function readOne(
  value: unknown,
  at: number,
  context: ForeignContext,
): { tool: string; row: Row } | undefined {
  const own = servingResultSchema.safeParse(value).data;
  if (own) {
    const benchmark = { type: 'sa-bench', valid: own.failed === 0, reason: `${own.failed} requests failed` };
    const point = { ordinal: 0, status: 'done', benchmark: { ...benchmark, serving: [own], artifacts: [] } };
    return { tool: 'sa-bench', row: rowOf(own, { id: `0/${at}`, point, gpus: context.gpus }) };
  }
  const aiperf = readAiperf(value);
  if (aiperf)
    return {
      tool: aiperf.version === null ? 'aiperf' : `aiperf ${aiperf.version}`,
      row: foreignRow(aiperf.figures, at, context),
    };
  const of = (tool: string, figures: ClientFigures | undefined) =>
    figures && { tool, row: foreignRow(figures, at, context) };
  return of('sglang.bench_serving', readSglang(value)) ?? of('vllm bench serve', readVllm(value));
}
