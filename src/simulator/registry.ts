import * as z from 'zod';

/** Where a Dynamo worker's instance stands in etcd, and what it says of itself. */
export const INSTANCES = 'instances/';

export const instanceSchema = z.object({
  namespace: z.string(),
  component: z.enum(['prefill', 'backend']),
  endpoint: z.string(),
  instance_id: z.number(),
  transport: z.object({ http: z.string() }),
  model: z.string(),
  mode: z.enum(['prefill', 'decode', 'agg']),
  bootstrap: z.object({ host: z.string(), port: z.number() }).nullable(),
});
export type Instance = z.infer<typeof instanceSchema>;

export const instanceKey = (instance: Instance): string =>
  `${INSTANCES}${instance.namespace}/${instance.component}/${instance.endpoint}/${instance.instance_id.toString(16)}`;
