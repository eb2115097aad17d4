import type { Endpoint, EndpointProcess } from './kinds.ts';

/** Name of an endpoint: `decode-3`. */
export const endpointId = ({ mode, index }: Pick<Endpoint, 'mode' | 'index'>): string => `${mode}-${index}`;

/** Id of a worker's process, unique in the job: `decode-3-0`. Nothing reads the parts back out of it. */
export const workerId = (process: Pick<EndpointProcess, 'mode' | 'index' | 'rank'>): string =>
  `${endpointId(process)}-${process.rank}`;

/** Ids of endpoints by the ids of their processes. */
export const endpointsByWorker = (all: readonly EndpointProcess[]): ReadonlyMap<string, string> =>
  new Map(all.map((process) => [workerId(process), endpointId(process)]));
