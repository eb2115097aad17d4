import * as z from 'zod';
import { flagsSchema } from '../values/flags.ts';
import { countSchema, envSchema } from '../values/values.ts';

/** Options that are copied unchanged into a file of the router. */
const routerOptionsSchema = z.record(z.string(), z.unknown()).nullish();

/**
 * `frontend` of a recipe, for the known routers. One shape for all, although a router does not use every key.
 */
export const frontendSchemaOf = (routers: readonly { readonly type: string; readonly summary: string }[]) =>
  z
    .strictObject({
      type: z
        .enum(routers.map(({ type }) => type))
        .default('dynamo')
        .describe(routers.map(({ type, summary }) => `${type}: ${summary}`).join('; ')),
      enable_multiple_frontends: z
        .boolean()
        .default(true)
        .describe('on two nodes or more: a router on every node but the first, and nginx on the first'),
      num_additional_frontends: countSchema
        .default(9)
        .describe('routers beside the first one, as far as there are nodes'),
      nginx_container: z.string().default('nginx').describe('image, or alias from containers'),
      nginx_raise_ulimit: z
        .boolean()
        .default(false)
        .describe('raise the limit of open files for nginx; by default nginx_raise_ulimit of srtslurm.yaml'),
      nginx_session_affinity: z
        .boolean()
        .default(false)
        .describe('requests of the same session go to the same router; those without a session are spread'),
      nginx_session_affinity_header: z
        .string()
        .regex(/^[A-Za-z0-9-]+$/, 'must be the name of an HTTP header')
        .default('X-Dynamo-Session-ID')
        .describe('header that names the session'),
      nginx_keepalive_timeout: z
        .string()
        .regex(/^\d+(ms|s|m|h|d)?$/, 'must be a time as nginx reads it, such as 600s')
        .default('600s')
        .describe('how long an idle connection is kept open, to clients and to routers'),
      args: flagsSchema
        .nullish()
        .transform((args) => args ?? {})
        .describe('further options of the router, without the leading dashes'),
      env: envSchema.describe('environment of the router'),
      container_image: z
        .string()
        .min(1)
        .nullish()
        .describe('image of the router, or alias from containers; by default model.container'),
      numa_bind: z.boolean().nullish().describe('keep the router to the CPUs and the memory of NUMA node 0'),
      worker_selection: routerOptionsSchema.describe(
        'dynamo: how its router chooses workers; written to a file for --router-policy-config',
      ),
      epp_config: routerOptionsSchema.describe('llm-d: configuration of its endpoint picker'),
      orchestrator_placement: z
        .enum(['head', 'first_decode'])
        .default('head')
        .describe('trtllm_serve: node of the orchestrator'),
      dedicated_node: z.boolean().default(false).describe('a node for the router alone'),
      placement: z
        .strictObject({
          node: z.enum(['head', 'first_decode', 'dedicated']).default('head').describe('node of the router'),
        })
        .nullish()
        .describe('another way to write orchestrator_placement and dedicated_node'),
      ctx_router: routerOptionsSchema.describe('trtllm_serve: how requests are spread over prefill workers'),
      gen_router: routerOptionsSchema.describe('trtllm_serve: how requests are spread over decode workers'),
      server_config_extra: routerOptionsSchema.describe(
        "trtllm_serve: further keys of the orchestrator's file",
      ),
    })
    .transform(({ placement, ...frontend }) =>
      placement
        ? {
            ...frontend,
            dedicated_node: placement.node === 'dedicated',
            orchestrator_placement:
              placement.node === 'first_decode' ? ('first_decode' as const) : ('head' as const),
          }
        : frontend,
    )
    .prefault({});
