import * as z from 'zod';

/** The clients that measure together, each on a node of its own: a part of the load generator's input. */
export const groupSchema = z.object({
  /** This client's number, from 0. The first one leads: it asks, merges and judges. */
  index: z.number().int().nonnegative(),
  /** The node of each client. */
  nodes: z.array(z.string()).min(2),
  /** Address on which the first client listens for the others. */
  host: z.string(),
  /** File, readable by the user alone, in which the first client says how to reach it. */
  meeting: z.string(),
});
export type GroupSettings = z.infer<typeof groupSchema>;

/** The part of a whole that falls to a client: `index` of `of`. */
export interface Share {
  readonly index: number;
  readonly of: number;
}
export const WHOLE: Share = { index: 0, of: 1 };

/** A client's part of a number that is dealt out to the clients in turn. */
export const partOf = (total: number, { index, of }: Share): number =>
  index >= of ? 0 : Math.floor(total / of) + (index < total % of ? 1 : 0);

/** The share at a concurrency: where it is less than the clients, the last ones have nothing to do. */
export const shareAt = (concurrency: number, { index, of }: Share): Share => ({
  index,
  of: Math.min(of, concurrency),
});

/** A client's part of the requests of a closed loop: in proportion to its part of the concurrency, so that all end together. */
export function requestsFor(total: number, concurrency: number, share: Share): number {
  let before = 0;
  for (let index = 0; index < share.index; index++) before += partOf(concurrency, { ...share, index });
  const upTo = (streams: number): number => Math.floor((total * streams) / concurrency);
  return upTo(before + partOf(concurrency, share)) - upTo(before);
}
