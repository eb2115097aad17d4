import * as z from 'zod';

/**
 * Keys of Dynamo's worker instances in etcd (`v1/instances/NAMESPACE/COMPONENT/ENDPOINT/ID`) and of their
 * models.
 */
export const INSTANCES = 'v1/instances/';
const MODELS = 'v1/mdc/';

export const instanceSchema = z.object({
  type: z.literal('Endpoint'),
  component: z.string(),
  endpoint: z.string(),
  namespace: z.string(),
  instance_id: z.number(),
  transport: z.union([z.object({ tcp: z.string() }), z.object({ nats_tcp: z.string() })]),
  device_type: z.string(),
  request_plane_codec: z.string(),
  /** Only stand-ins write this: the frontend needs it to send requests over HTTP. */
  stand_in: z.object({
    url: z.string(),
    model: z.string(),
    mode: z.enum(['prefill', 'decode', 'agg']),
    bootstrap: z.object({ host: z.string(), port: z.number() }).nullable(),
  }),
});
export type Instance = z.infer<typeof instanceSchema>;

const under = (root: string, { namespace, component, endpoint, instance_id: id }: Instance): string =>
  `${root}${namespace}/${component}/${endpoint}/${id.toString(16)}`;

/** All keys of a worker with their values: those of its instance and of its model. */
export function entriesOf(instance: Instance): [string, unknown][] {
  const {
    type: _,
    stand_in,
    device_type: __,
    request_plane_codec: ___,
    transport: ____,
    ...named
  } = instance;
  const card = { display_name: stand_in.model, slug: stand_in.model };
  return [
    [under(INSTANCES, instance), instance],
    [under(MODELS, instance), { type: 'Model', ...named, card_json: card }],
  ];
}

export const endpointName = ({ namespace, component, endpoint }: Instance): string =>
  `dyn://${namespace}.${component}.${endpoint}`;
