import type { EndpointProcess, RuntimeContext } from '../../model/kinds.ts';

/** Ports of the sidecars in front of decode workers. */
const PROXY = 6_700;

/** The port of a decode worker's sidecar, at which the router reaches the worker. */
export const proxyPort = (
  runtime: RuntimeContext,
  processes: readonly EndpointProcess[],
  process: EndpointProcess,
): number => runtime.port(process.node, PROXY + processes.indexOf(process));

/** Whether decode workers are reached through sidecars: prefill and decode workers are. */
export const areProxied = (processes: readonly EndpointProcess[]): boolean =>
  processes.some(({ mode }) => mode === 'prefill');
