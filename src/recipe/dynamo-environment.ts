import type { Recipe } from './schema.ts';

/** What Dynamo's workers and frontends are told alike. `component` names one in traces: prefill, decode, frontend … */
export function dynamoEnvironment(recipe: Recipe, component: string): Record<string, string> {
  const { request_plane, event_plane, wheel } = recipe.dynamo;
  return {
    DYN_REQUEST_PLANE: request_plane,
    ...(event_plane ? { DYN_EVENT_PLANE: event_plane } : {}),
    DYN_SKIP_SGLANG_LOG_FORMATTING: '1',
    ...(wheel ? { DYNAMO_WHEEL_NAME: `ai_dynamo-${wheel}-py3-none-any.whl`, DYNAMO_VERSION: wheel } : {}),
    ...tracing(recipe, component),
  };
}

function tracing({ observability }: Recipe, component: string): Record<string, string> {
  if (!observability?.enable_otel || !observability.otel_endpoint) return {};
  return {
    DYN_LOGGING_JSONL: '1',
    OTEL_EXPORT_ENABLED: '1',
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: observability.otel_endpoint,
    OTEL_SERVICE_NAME: `dynamo-${component}`,
  };
}
