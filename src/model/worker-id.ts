import type { Endpoint, EndpointProcess } from './kinds.ts';

/** Name of an endpoint: `decode-3`; `decode-3-e1` for its first standby engine, which starts again by itself. */
export const endpointId = ({
  mode,
  index,
  standby,
}: Pick<Endpoint, 'mode' | 'index'> & Pick<EndpointProcess, 'standby'>): string =>
  `${mode}-${index}${standby === undefined ? '' : `-e${standby}`}`;

/** Id of a worker's process, unique in the job: `decode-3-0`. Nothing reads the parts back out of it. */
export const workerId = (process: Pick<EndpointProcess, 'mode' | 'index' | 'rank' | 'standby'>): string =>
  `${endpointId(process)}-${process.rank}`;

/** Ids of endpoints by the ids of their processes. */
export const endpointsByWorker = (all: readonly EndpointProcess[]): ReadonlyMap<string, string> =>
  new Map(all.map((process) => [workerId(process), endpointId(process)]));
