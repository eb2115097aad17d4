import { createHash } from 'node:crypto';
import type { Lane, Span as Stage, Timeline } from '../../report/model/report.ts';
import type { ReportedJob } from '../common/job.ts';
import type { SampledRequest } from './requests.ts';

/** A span without the types of a library. Times are ms since 1970. */
export interface JobSpan {
  readonly name: string;
  /** 16 hexadecimal digits. */
  readonly id: string;
  /** undefined: the job's own span. */
  readonly parent: string | undefined;
  readonly fromMs: number;
  readonly toMs: number;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  /** Why what it covers has failed. */
  readonly error?: string;
}

export interface JobTrace {
  /** 32 hexadecimal digits. The same job has the same ids each time, so that a repeated export adds nothing new. */
  readonly id: string;
  readonly spans: readonly JobSpan[];
}

const hash = (text: string, digits: number): string =>
  createHash('sha256').update(text).digest('hex').slice(0, digits);

/**
 * The trace of a job: a span for the job, with its stages; one for each point, with its stages and sampled requests; and
 * one for each process on each node, with its stages.
 * @param requests sampled requests by the ordinal of their point
 */
export function traceOf(
  { spec, cluster, recipe }: ReportedJob,
  { from, to, lanes }: Timeline,
  requests: ReadonlyMap<number, readonly SampledRequest[]>,
  end: { readonly exitCode: number | null; readonly why: string },
): JobTrace {
  const id = hash(`${spec.jobId} ${spec.submittedAt}`, 32);
  const idOf = (path: string): string => hash(`${id} ${path}`, 16);
  const root = idOf('job');
  const spans: JobSpan[] = [
    {
      ...{ name: `job ${spec.name}`, id: root, parent: undefined, fromMs: from, toMs: to },
      attributes: {
        'srtctl.job.id': spec.jobId,
        'srtctl.job.mode': spec.mode,
        'srtctl.model': recipe.model.path,
        ...(cluster === undefined ? {} : { 'srtctl.cluster': cluster }),
        ...(recipe.backend?.type === undefined ? {} : { 'srtctl.engine': recipe.backend.type }),
        ...(recipe.frontend?.type === undefined ? {} : { 'srtctl.frontend': recipe.frontend.type }),
        ...(end.exitCode === null ? {} : { 'srtctl.exit_code': end.exitCode }),
      },
      ...(end.exitCode === 0 ? {} : { error: end.why }),
    },
  ];
  for (const lane of lanes) {
    const [first, last] = [lane.spans[0], lane.spans.at(-1)];
    if (!first || !last) continue;
    const path = `${lane.kind} ${lane.node ?? ''} ${lane.name}`;
    const own = lane.kind === 'job' ? root : idOf(path);
    const labels = labelsOf(lane);
    if (lane.kind !== 'job')
      spans.push({
        name: lane.kind === 'process' ? `process ${lane.name}` : lane.name,
        ...{ id: own, parent: root, fromMs: first.from, toMs: last.to, attributes: labels },
      });
    lane.spans.forEach((stage, at) => {
      spans.push({
        ...{ name: stage.state, id: idOf(`${path} ${at}`), parent: own, fromMs: stage.from, toMs: stage.to },
        attributes: { ...labels, 'srtctl.why': stage.why },
      });
    });
    const ordinal = ordinalOf(lane);
    for (const [at, request] of (ordinal === undefined ? [] : (requests.get(ordinal) ?? [])).entries()) {
      const inside = lane.spans.findIndex((stage) => covers(stage, request));
      const stage = inside < 0 ? own : idOf(`${path} ${inside}`);
      spans.push(...spansOf(request, stage, (part) => idOf(`${path} request ${at} ${part}`)));
    }
  }
  return { id, spans };
}

const covers = ({ from, to }: Stage, { sentMs }: SampledRequest): boolean => from <= sentMs && sentMs <= to;

const ordinalOf = ({ kind, name }: Lane): number | undefined => {
  const told = kind === 'point' ? /^point (\d+)/.exec(name)?.[1] : undefined;
  return told === undefined ? undefined : Number(told);
};

function labelsOf(lane: Lane): Record<string, string | number> {
  if (lane.kind === 'process')
    return { 'srtctl.process': lane.name, ...(lane.node === null ? {} : { 'host.name': lane.node }) };
  const ordinal = ordinalOf(lane);
  return ordinal === undefined ? {} : { 'srtctl.point.ordinal': ordinal };
}

/** A request, with the time to its first token as a child. */
function spansOf(request: SampledRequest, parent: string, idOf: (part: string) => string): JobSpan[] {
  const { concurrency, sentMs, firstMs, endMs, inputTokens, outputTokens, error } = request;
  const attributes = {
    'srtctl.concurrency': concurrency,
    // Names of the OpenTelemetry semantic conventions for generative AI.
    ...(inputTokens === undefined ? {} : { 'gen_ai.usage.input_tokens': inputTokens }),
    ...(outputTokens === undefined ? {} : { 'gen_ai.usage.output_tokens': outputTokens }),
  };
  const own = { id: idOf('whole'), parent, fromMs: sentMs, toMs: endMs, attributes };
  return [
    { name: 'request', ...own, ...(error === null ? {} : { error }) },
    ...(error === null
      ? [
          {
            name: 'first token',
            id: idOf('first'),
            parent: own.id,
            fromMs: sentMs,
            toMs: firstMs,
            attributes: {},
          },
        ]
      : []),
  ];
}
