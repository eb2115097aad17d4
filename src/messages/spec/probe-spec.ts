import * as z from 'zod';

const port = z.number().int().min(0).max(65535);
const scalar = z.union([z.string(), z.number(), z.boolean()]);

/**
 * How many entries a list in a JSON answer must have: no fewer, and no more. So the readiness of a router is data, and
 * an agent needs to know no router.
 */
export const jsonCountSchema = z.object({
  /** Keys from the root of the answer to the list. */
  at: z.array(z.string()),
  /** Only entries that have these fields count; of several values an entry has one. */
  where: z.record(z.string(), z.union([scalar, z.array(scalar).min(1)])),
  /**
   * What is planned. More is as wrong as fewer: what is too much is left from earlier, or another job's. With 0 the
   * answer is only searched for strangers.
   */
  count: z.number().int().nonnegative(),
  /** So many are enough, where a run can do without the others. */
  least: z.number().int().nonnegative().optional(),
  /** So many are not too many, where it depends on the release how many register. */
  most: z.number().int().positive().optional(),
  /** Entries count by the address that they name. One without an address counts for itself. */
  address: z
    .object({
      /**
       * Keys from an entry to its address, which is written `http://HOST:PORT/…`, `HOST:PORT/…` or `HOST:PORT@3`. None
       * where the entry is the address.
       */
      field: z.array(z.string()),
      /** Planned addresses, `HOST:PORT`. */
      among: z.array(z.string()),
      /** Planned as well, though not of what is counted here: no strangers. */
      others: z.array(z.string()).optional(),
      /** How many entries each address has. Without it: one or more. */
      each: z.number().int().positive().optional(),
    })
    .optional(),
  /** For people, as in "prefill workers". */
  label: z.string(),
});
export type JsonCount = z.infer<typeof jsonCountSchema>;

const askedSchema = z.object({
  path: z.string(),
  /** With a body it is a POST. A value that is `{NAME}` stands for what an earlier step took. */
  body: z.record(z.string(), z.unknown()).optional(),
});

/** A further question on the way to ready: whether a model is listed, whether a request is answered. */
export const probeStepSchema = askedSchema.extend({
  /** For people, as in "a completion". */
  label: z.string(),
  /** Asked instead, when this is refused. */
  or: z.array(askedSchema).optional(),
  expect: z.array(jsonCountSchema).optional(),
  /** Values that the answer must have, by the name for later steps; keys from the root, numbers for places in lists. */
  take: z.record(z.string(), z.array(z.string())).optional(),
  timeoutMs: z.number().int().positive().optional(),
});
export type ProbeStep = z.infer<typeof probeStepSchema>;

/** How an agent learns that a process is ready. The address is the one to connect to from any node of the job. */
export const probeSchema = z.discriminatedUnion('kind', [
  /** Ready when GET answers 2xx, all counts are right, and every further step has passed. */
  z.object({
    kind: z.literal('http'),
    host: z.string(),
    port,
    path: z.string(),
    expect: z.array(jsonCountSchema).optional(),
    /** Asked in place of `path` where that answers 404, because an older release does not have it. */
    older: z.object({ path: z.string(), expect: z.array(jsonCountSchema).optional() }).optional(),
    /** An answer of this status is as good as 2xx when its body has this value at these keys. */
    accept: z.object({ status: z.number().int(), at: z.array(z.string()), is: scalar }).optional(),
    /** Asked only until the process is ready: no request of ours is among those that are measured. */
    steps: z.array(probeStepSchema).optional(),
    /** How long the further steps may fail when the first question is answered right; then the process has failed. */
    stepsWithinMs: z.number().int().positive().optional(),
    /** The answer takes a token that the engine generates for it, so an engine that stands still does not give it. */
    generates: z.boolean().optional(),
  }),
  /** Ready when the port accepts a connection. */
  z.object({ kind: z.literal('tcp'), host: z.string(), port }),
  /** Ready as soon as it runs: steps and benchmarks, whose end is what counts. */
  z.object({ kind: z.literal('running') }),
]);
export type ProbeSpec = z.infer<typeof probeSchema>;
export type HttpProbe = Extract<ProbeSpec, { kind: 'http' }>;
