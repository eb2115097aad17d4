import * as z from 'zod';
import { engineSchemas } from '../../backends/index.ts';
import { dynamoSchema } from '../schema/dynamo.ts';
import { resourcesSchema } from '../schema/resources.ts';
import { countSchema, envSchema, kvEventsOfModeSchema, positiveSchema } from '../values/values.ts';
import { recipeSchema } from './recipe-schema.ts';

/**
 * The second layout as it is written: what the reference calls `schema: 2` (srt-slurm 2.x, docs/schema-reference.md at
 * 01aebde). It shares every section with the canonical recipe but these: engine, roles, resources, dynamo.source.
 */

const {
  backend: _backend,
  infra: _infra,
  resources: _resources,
  dynamo: _dynamo,
  roles: ownRoles,
  ...shared
} = recipeSchema.shape;

/** Keys of an engine that the second layout has in its roles or as a service. */
const OF_ROLES = /^(type|(prefill|decode|aggregated)_(environment|extra_args)|.*_config|mooncake_kv_store)$/;

/** Names of the second layout for keys of an engine, and the canonical name; recipes have both. */
export const RENAMED: Readonly<Record<string, string>> = { set_visible_devices: 'set_cuda_visible_devices' };

const written: Readonly<Record<string, readonly string[]>> = Object.fromEntries(
  Object.entries(RENAMED).map(([name, canonical]) => [canonical, [name]]),
);

const knobsOf = ({ type, schema }: (typeof engineSchemas)[number]) =>
  z.strictObject({
    type: z.literal(type),
    ...Object.fromEntries(
      Object.entries(schema.shape)
        .filter(([key]) => !OF_ROLES.test(key))
        .flatMap(([key, value]) => [key, ...(written[key] ?? [])].map((name) => [name, value])),
    ),
    ...(type === 'sglang' ? { gpu_type: z.string().nullish().describe('as resources.gpu_type') } : {}),
  });

const [firstKind, ...otherKinds] = engineSchemas.map(knobsOf);

const types = engineSchemas.map(({ type }) => type);

const engineSchema = z.union([
  z.enum(types),
  z.discriminatedUnion('type', [firstKind as NonNullable<typeof firstKind>, ...otherKinds]),
]);

const roleSchema = (mode: 'prefill' | 'decode' | 'agg') => {
  const count = (what: string) => countSchema.max(20_000).nullish().describe(what);
  return z
    .strictObject({
      nodes:
        mode === 'decode'
          ? z
              .union([countSchema.max(20_000), z.literal('colocate')])
              .nullish()
              .describe(
                'nodes of these workers; colocate (or 0): they share the nodes of the prefill workers',
              )
          : count('nodes of these workers'),
      workers: count('number of workers'),
      gpus: positiveSchema.nullish().describe('GPUs of one worker; by default an equal share of the nodes'),
      nodes_per_worker: positiveSchema
        .nullish()
        .describe('nodes over which each worker is spread evenly, also when it would fit on fewer'),
      env: envSchema.describe('environment of these workers'),
      args: z
        .record(z.string(), z.unknown())
        .nullish()
        .describe("the engine's own options, without the leading dashes"),
      extra_args: z
        .array(z.union([z.string(), z.number()]))
        .nullish()
        .describe('trtllm: further options of trtllm-serve'),
      engine: engineSchema.nullish().describe('engine of this role, where there is no `engine` for all'),
      kv_events: kvEventsOfModeSchema
        .nullish()
        .describe('whether these workers publish KV cache events, for routers that are aware of the cache'),
      sidecar: z
        .boolean()
        .nullish()
        .describe('the engine runs beside a Dynamo sidecar; the same for all roles'),
      critical: z.boolean().nullish().describe('whether the end of one of these workers fails the point'),
      ...ownRoles.unwrap().unwrap().shape[mode].unwrap().unwrap().omit({ engine: true }).shape,
    })
    .nullish()
    .describe(`${mode === 'agg' ? 'aggregated' : mode} workers`);
};

const rolesSchema = z
  .strictObject({ prefill: roleSchema('prefill'), decode: roleSchema('decode'), agg: roleSchema('agg') })
  .nullish()
  .describe('the workers: one block for each kind');

const sourceSchema = z
  .strictObject({
    git: z.string().min(1).nullish().describe('repository to build from; by default that of Dynamo'),
    rev: z
      .string()
      .min(1)
      .refine((rev) => !['main', 'master', 'HEAD'].includes(rev), {
        message: 'moves; name a commit, a tag or refs/pull/N/head',
      })
      .nullish()
      .describe('commit, tag or refs/pull/N/head to build'),
    sha: z.string().min(1).nullish().describe('the commit that `rev` was when it was looked up'),
    patches: z.array(z.string()).nullish().describe('replacements of Rust dependencies for a build'),
    pypi: z.string().min(1).nullish().describe('release to install from PyPI'),
    wheel: z.string().min(1).nullish().describe('version to install from staged wheels'),
  })
  .superRefine(({ git, rev, sha, pypi, wheel }, context) => {
    const named = [git ?? rev ?? sha, pypi, wheel].filter((each) => each != null);
    if (named.length !== 1)
      context.addIssue({ code: 'custom', message: 'must name one source: git with rev, pypi, or wheel' });
    else if (git != null && rev == null && sha == null)
      context.addIssue({ code: 'custom', path: ['git'], message: 'needs rev, the commit or tag to build' });
  });

const {
  version: _version,
  hash: _hash,
  wheel: _wheel,
  cargo_patches: _patches,
  ...dynamoShape
} = dynamoSchema.unwrap().shape;

const secondDynamoSchema = z
  .strictObject({
    ...dynamoShape,
    source: sourceSchema.nullish().describe('which Dynamo: git with rev, pypi, or wheel'),
    sidecar: z.boolean().nullish().describe('engines run beside a Dynamo sidecar, for all roles'),
  })
  .refine(({ source, top_of_tree: newest }) => source == null || !newest, {
    message: 'name one source of Dynamo: source or top_of_tree',
  })
  .nullish();

const secondResourcesSchema = resourcesSchema.pick({
  gpu_type: true,
  gpus_per_node: true,
  spread_workers: true,
  spare_nodes: true,
  het_jobs: true,
});

/** A recipe of the second layout, after overrides and sweep parameters. */
export const secondSchema = z
  .strictObject({
    schema: z.literal(2).optional().describe('the layout of this recipe'),
    ...shared,
    resources: secondResourcesSchema.describe('what is the same for all workers, and the nodes'),
    engine: engineSchema.nullish().describe('the engine, by its name or with its options'),
    roles: rolesSchema,
    dynamo: secondDynamoSchema.describe('which Dynamo, and how it is set up'),
  })
  .superRefine(({ engine, roles }, context) => {
    const own = Object.entries(roles ?? {}).filter(([, role]) => role?.engine != null);
    if (engine != null)
      for (const [mode] of own)
        context.addIssue({
          code: 'custom',
          path: ['roles', mode, 'engine'],
          message: 'has an engine of its own beside `engine`, which is for all roles: write one or the other',
        });
    else if (own.length > 0)
      for (const [mode, role] of Object.entries(roles ?? {}))
        if (role && role.engine == null)
          context.addIssue({
            code: 'custom',
            path: ['roles', mode],
            message: 'has no engine, although other roles have their own',
          });
  });

/** The same with the section `backend` of recipes from between the layouts, which stands for `engine`. */
export const transitionalSchema = secondSchema
  .safeExtend({ backend: engineSchema, infra: _infra })
  .refine(({ engine }) => engine == null, {
    path: ['engine'],
    message: 'is what `backend` says too: write one of them',
  });
