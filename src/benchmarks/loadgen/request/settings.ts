import * as z from 'zod';

/** How requests are sent: a part of the load generator's input. */
export const requestShape = {
  /** Address of the frontend, for example http://127.0.0.2:8000. */
  url: z.url(),
  /** Keep connections from request to request; otherwise each request has its own. */
  reuseConnections: z.boolean().default(false),
  /** Threads that send and read; null = by the concurrency and the machine's cores. */
  clientThreads: z.number().int().positive().nullable().default(null),
  /** Name of the variable in the environment that has the API key; null = no key. */
  apiKeyEnv: z.string().nullable().default(null),
  /** Sent with each request. */
  headers: z.record(z.string(), z.string()).default({}),
  /** Further members of each request's JSON. Those that the measurement needs stay as they are. */
  extraBody: z.record(z.string(), z.unknown()).default({}),
  /** File of certificates (PEM) that are trusted besides the system's; null = none. */
  caFile: z.string().nullable().default(null),
  /** From sending to the last byte. A timer of 2^31 ms or more would fire at once. */
  requestTimeoutMs: z
    .number()
    .int()
    .positive()
    .max(2 ** 31 - 1),
};
const requestSettingsSchema = z.object(requestShape);
export type RequestSettings = z.infer<typeof requestSettingsSchema>;
