import type { EndpointProcess, RuntimeContext } from '../../model/kinds.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';

/**
 * Environment that Dynamo's workers and frontends share. `component` is the name in traces: prefill, decode,
 * frontend …
 */
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

/** Whether Dynamo's frontends send requests to a port of each worker, which it registers. */
export const takesRequestsOverTcp = ({ frontend, dynamo }: Recipe): boolean =>
  frontend.type === 'dynamo' && dynamo.request_plane === 'tcp';

/**
 * The addresses at which other processes reach a Dynamo process. Dynamo itself uses the machine's first
 * address, which is not that of `network_interface`, and is the same for nodes that share a machine. The
 * place for answers is named by its interface, because releases before 1.6 refuse an address there
 * (`Interface not found: 10.0.0.1`, lib/runtime/src/pipeline/network/ tcp/server.rs of 1.1 to 1.5); 1.6
 * accepts both. Its port is any free one, so nodes that share a machine need no fixed one.
 */
export function dynamoAddresses(
  recipe: Recipe,
  runtime: RuntimeContext,
  node: string,
): Record<string, string> {
  if (recipe.frontend.type !== 'dynamo') return {};
  const { networkInterface } = runtime;
  return {
    DYN_EVENT_PLANE_HOST: runtime.address(node),
    ...(networkInterface === null ? {} : { DYN_TCP_RESPONSE_STREAM_HOST: networkInterface }),
  };
}

/** The same for a worker: its address for health checks, and that for requests. */
export function dynamoWorkerAddresses(
  recipe: Recipe,
  runtime: RuntimeContext,
  { node, ports }: Pick<EndpointProcess, 'node' | 'ports'>,
): Record<string, string> {
  if (recipe.frontend.type !== 'dynamo') return {};
  return {
    ...onOwnAddress('DYN_SYSTEM_HOST', runtime, node),
    ...dynamoAddresses(recipe, runtime, node),
    ...(takesRequestsOverTcp(recipe)
      ? { DYN_TCP_RPC_HOST: runtime.address(node), DYN_TCP_RPC_PORT: String(ports.requests) }
      : {}),
  };
}

/**
 * Nodes that share a machine each listen on their own address; otherwise Dynamo's default, every address,
 * stays.
 */
export function onOwnAddress(
  variable: 'DYN_SYSTEM_HOST' | 'DYN_HTTP_HOST',
  runtime: RuntimeContext,
  node: string,
): Record<string, string> {
  const address = runtime.listenAddress(node);
  return address === '0.0.0.0' ? {} : { [variable]: address };
}
