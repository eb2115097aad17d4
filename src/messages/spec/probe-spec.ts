import * as z from 'zod';

const port = z.number().int().min(0).max(65535);
const scalar = z.union([z.string(), z.number(), z.boolean()]);

/**
 * How many entries a list in a JSON answer must have. With this the readiness of a router is data, and an
 * agent needs to know no router.
 */
export const jsonCountSchema = z.object({
  /** Keys from the root of the answer to the list. */
  at: z.array(z.string()),
  /** Only entries with these fields count; for a list of values any of them matches. */
  where: z.record(z.string(), z.union([scalar, z.array(scalar).min(1)])),
  /**
   * The planned number. More is as wrong as fewer, because an extra entry is a leftover or belongs to another
   * job. With 0 the probe only looks for strangers.
   */
  count: z.number().int().nonnegative(),
  /** The smallest sufficient number, where a run can do without the others. */
  least: z.number().int().nonnegative().optional(),
  /**
   * Once the process is ready any smaller number is enough, and an address may have entries of its earlier worker, because
   * workers start again.
   */
  varies: z.literal(true).optional(),
  /** The largest allowed number, where it depends on the release how many register. */
  most: z.number().int().positive().optional(),
  /** Counts entries by their address. An entry without an address counts for itself. */
  address: z
    .object({
      /**
       * Keys from an entry to its address, in the form `http://HOST:PORT/…`, `HOST:PORT/…` or `HOST:PORT@3`.
       * Empty when the entry is the address.
       */
      field: z.array(z.string()),
      /** Planned addresses, `HOST:PORT`. */
      among: z.array(z.string()),
      /** Other planned addresses, which do not count here but are no strangers. */
      others: z.array(z.string()).optional(),
      /** Number of entries for each address. Without it: one or more. */
      each: z.number().int().positive().optional(),
    })
    .optional(),
  /** For people, for example "prefill workers". */
  label: z.string(),
});
export type JsonCount = z.infer<typeof jsonCountSchema>;

const askedSchema = z.object({
  path: z.string(),
  /** With a body the request is a POST. A value `{NAME}` is replaced by a value from an earlier step. */
  body: z.record(z.string(), z.unknown()).optional(),
});

/** A further check before a process is ready: whether a model is listed, whether a request is answered. */
export const probeStepSchema = askedSchema.extend({
  /** For people, for example "a completion". */
  label: z.string(),
  /** Requests to try when this one is refused. */
  or: z.array(askedSchema).optional(),
  expect: z.array(jsonCountSchema).optional(),
  /**
   * Values that the answer must contain, by their name for later steps; keys from the root, numbers for
   * positions in lists.
   */
  take: z.record(z.string(), z.array(z.string())).optional(),
  timeoutMs: z.number().int().positive().optional(),
});
export type ProbeStep = z.infer<typeof probeStepSchema>;

/** How an agent finds out that a process is ready. Every node of the job can connect to the address. */
export const probeSchema = z.discriminatedUnion('kind', [
  /** Ready when GET answers 2xx, all counts are right, and every further step has passed. */
  z.object({
    kind: z.literal('http'),
    host: z.string(),
    port,
    path: z.string(),
    /** The only status that counts as ready, in place of 2xx. */
    status: z.number().int().optional(),
    expect: z.array(jsonCountSchema).optional(),
    /** The answer is Prometheus metrics, and the samples of this name add up to this number or more. */
    gauge: z.object({ name: z.string(), least: z.number(), label: z.string() }).optional(),
    /** Replaces `path` where that answers 404, because an older release lacks it. */
    older: z.object({ path: z.string(), expect: z.array(jsonCountSchema).optional() }).optional(),
    /** An answer with this status counts as 2xx when its body has this value at these keys. */
    accept: z.object({ status: z.number().int(), at: z.array(z.string()), is: scalar }).optional(),
    /** Sent only until the process is ready, so that no request of a probe is measured. */
    steps: z.array(probeStepSchema).optional(),
    /** How long the further steps may fail after the first request succeeds; then the process has failed. */
    stepsWithinMs: z.number().int().positive().optional(),
    /** The engine must generate a token for the answer, so a hung engine does not answer. */
    generates: z.boolean().optional(),
    /** Not asked again after the process was ready. */
    once: z.boolean().optional(),
  }),
  /** Ready when the port accepts a connection. */
  z.object({ kind: z.literal('tcp'), host: z.string(), port, once: z.boolean().optional() }),
  /** Ready when a line of its log matches the regular expression. */
  z.object({ kind: z.literal('log'), pattern: z.string() }),
  /** Ready when the file, an absolute path, exists and is not empty. */
  z.object({ kind: z.literal('file'), path: z.string().startsWith('/') }),
  /** Ready as soon as it runs: steps and benchmarks, whose exit matters, and services without a check. */
  z.object({ kind: z.literal('running') }),
]);
export type ProbeSpec = z.infer<typeof probeSchema>;
export type HttpProbe = Extract<ProbeSpec, { kind: 'http' }>;
