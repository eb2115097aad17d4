import type { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import type { JobSpan, JobTrace } from './spans.ts';

type ReadableSpan = Parameters<OTLPTraceExporter['export']>[0][number];
interface Exporter {
  export(spans: ReadableSpan[], done: (result: { code: number; error?: Error }) => void): void;
  shutdown(): Promise<void>;
}

/** Spans in one request: some 200 KB, and collectors take 4 MB. */
const AT_ONCE = 500;
/** How long one request may take, with the exporter's own tries. */
const REQUEST_MS = 10_000;
/** The port that OTLP has for gRPC (OpenTelemetry's protocol specification); HTTP has 4318. */
const GRPC_PORT = '4317';
const TRACES = '/v1/traces';

/** Values of the enumerations of @opentelemetry/api. */
const INTERNAL = 0;
const ERROR = 2;
const UNSET = 0;
const SAMPLED = 1;
const SUCCESS = 0;

/**
 * How and where a collector takes spans. Port 4317 is gRPC. All else is HTTP, with `/v1/traces` where the URL has no
 * path.
 * @throws TypeError when it is no URL
 */
export function receiverOf(endpoint: string): { protocol: 'grpc' | 'http'; url: string } {
  const url = new URL(endpoint.includes('://') ? endpoint : `http://${endpoint}`);
  if (url.port === GRPC_PORT) return { protocol: 'grpc', url: url.origin };
  if (url.pathname === '/' || url.pathname === '') url.pathname = TRACES;
  return { protocol: 'http', url: url.href };
}

/**
 * Sends a trace to a collector over OTLP.
 * @throws Error when it does not take all of it
 */
export async function exportTrace(trace: JobTrace, endpoint: string, signal: AbortSignal): Promise<void> {
  const exporter = await exporterFor(endpoint);
  const resource = resourceFromAttributes({ 'service.name': 'srtctl' });
  const spans = trace.spans.map((span) => readable(span, trace.id, resource));
  try {
    for (let at = 0; at < spans.length; at += AT_ONCE) {
      await send(exporter, spans.slice(at, at + AT_ONCE), signal);
    }
  } finally {
    // It waits for a collector that does not answer.
    void exporter.shutdown().catch(() => undefined);
  }
}

/** Each exporter is loaded only where it is used: that of gRPC is large. */
async function exporterFor(endpoint: string): Promise<Exporter> {
  const { protocol, url } = receiverOf(endpoint);
  if (protocol === 'grpc') {
    const grpc = await import('@opentelemetry/exporter-trace-otlp-grpc');
    return new grpc.OTLPTraceExporter({ url, timeoutMillis: REQUEST_MS });
  }
  const http = await import('@opentelemetry/exporter-trace-otlp-proto');
  return new http.OTLPTraceExporter({ url, timeoutMillis: REQUEST_MS });
}

const send = (exporter: Exporter, spans: ReadableSpan[], signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const late = (): void => reject(new Error('the collector does not answer in time'));
    if (signal.aborted) late();
    signal.addEventListener('abort', late, { once: true });
    exporter.export(spans, ({ code, error }) => {
      signal.removeEventListener('abort', late);
      if (code === SUCCESS) resolve();
      else reject(error ?? new Error('the collector does not take the spans'));
    });
  });

/** Seconds and nanoseconds. */
const unixMs = (ms: number): [number, number] => {
  const seconds = Math.floor(ms / 1_000);
  return [seconds, Math.min(999_999_999, Math.round((ms - seconds * 1_000) * 1e6))];
};

function readable(span: JobSpan, traceId: string, resource: ReadableSpan['resource']): ReadableSpan {
  const context = (spanId: string) => ({ traceId, spanId, traceFlags: SAMPLED });
  const [startTime, endTime] = [unixMs(span.fromMs), unixMs(Math.max(span.fromMs, span.toMs))];
  return {
    name: span.name,
    kind: INTERNAL,
    spanContext: () => context(span.id),
    ...(span.parent === undefined ? {} : { parentSpanContext: context(span.parent) }),
    startTime,
    endTime,
    duration: unixMs(Math.max(0, span.toMs - span.fromMs)),
    status: span.error === undefined ? { code: UNSET } : { code: ERROR, message: span.error },
    attributes: span.attributes,
    links: [],
    events: [],
    ended: true,
    resource,
    instrumentationScope: { name: 'srtctl' },
    ...{ droppedAttributesCount: 0, droppedEventsCount: 0, droppedLinksCount: 0 },
  };
}
