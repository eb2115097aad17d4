import * as z from 'zod';
import { recipeSchema } from './layouts/recipe-schema.ts';
import { secondSchema } from './layouts/second-schema.ts';
import { clusterConfigSchema } from './schema/cluster.ts';
import { sweepSettingsSchema } from './values/sweep-settings.ts';

/** A JSON Schema, or a part of one. */
export type JsonSchema = { readonly [key: string]: unknown };

const DIALECT = 'https://json-schema.org/draft/2020-12/schema';

/** One recipe without overrides and without a sweep. */
export const recipeJsonSchema = (layout: 1 | 2): JsonSchema =>
  jsonSchemaOf(layout === 1 ? recipeSchema : secondSchema);

/** srtslurm.yaml. */
export const clusterJsonSchema = (): JsonSchema => ({
  title: 'srtslurm.yaml: what is the same for all jobs of a cluster',
  ...jsonSchemaOf(clusterConfigSchema),
});

/**
 * A recipe file, for editors: a recipe, or `base` with overrides. In a recipe with a sweep any value may be a
 * placeholder. An override may contain any part of a recipe, null, and in a zip_override a list.
 * @param layout default: a schema for both, in which `schema: 2` selects the second
 */
export function recipeFileJsonSchema(layout?: 1 | 2): JsonSchema {
  const head = { $schema: DIALECT, title: 'srtctl recipe', type: 'object' };
  if (layout !== undefined) return { ...head, ...fileOf(layout, '') };
  const { $defs: first, ...isFirst } = fileOf(1, '');
  const { $defs: second, ...isSecond } = fileOf(2, '2');
  return {
    ...head,
    if: { properties: { schema: { const: 2 } }, required: ['schema'] },
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
    then: isSecond,
    else: isFirst,
    $defs: { ...(first as JsonSchema), ...(second as JsonSchema) },
  };
}

/** A recipe file of one layout; `suffix` distinguishes its definitions from those of the other. */
function fileOf(layout: 1 | 2, suffix: string): JsonSchema {
  const { $schema: _, ...one } = recipeJsonSchema(layout);
  const recipe = asWritten(mapSchemas(one, orPlaceholder));
  const part = mapSchemas(withoutRequired(recipe), orNull);
  const ref = (name: string) => ({ $ref: `#/$defs/${name}${suffix}` });
  return {
    if: { required: ['base'] },
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
    then: {
      properties: { schema: { const: layout }, base: ref('recipe') },
      patternProperties: {
        '^override_.+': ref('override'),
        '^zip_override_.+': ref('zipOverride'),
      },
      additionalProperties: false,
    },
    else: ref('recipe'),
    $defs: {
      [`recipe${suffix}`]: recipe,
      [`override${suffix}`]: part,
      [`zipOverride${suffix}`]: mapSchemas(part, orList),
    },
  };
}

const jsonSchemaOf = (schema: z.ZodType): JsonSchema =>
  z.toJSONSchema(schema, { io: 'input', override: ({ jsonSchema }) => anyKind(jsonSchema) }) as JsonSchema;

/** Accepts any kind, because an override may omit the key that distinguishes kinds. */
function anyKind(schema: z.core.JSONSchema.BaseSchema): void {
  if (!schema.oneOf) return;
  schema.anyOf = schema.oneOf;
  delete schema.oneOf;
}

/** Settings of a sweep; a list instead of a setting is a parameter of that name. */
const sweepSettings = jsonSchemaOf(sweepSettingsSchema.unwrap()).properties as Record<string, JsonSchema>;

/** The keys of `sweep` besides the lists of parameters. */
export const sweepJsonSchema: JsonSchema = {
  description:
    'lists of parameters, and settings for their points; "{name}" in the recipe takes the values of the list `name`',
  type: 'object',
  properties: {
    mode: {
      description: 'grid: every combination (the default); zip: the first of each list, the second of each …',
      enum: ['grid', 'zip'],
      default: 'grid',
    },
    ...sweepSettings,
  },
  additionalProperties: { type: 'array', minItems: 1 },
};

/** A sweep as a list of points. */
const POINTS: JsonSchema = { type: 'array', items: { type: 'object', minProperties: 1 }, minItems: 1 };

/** A file may have a sweep, and may omit GPUs per node for the cluster config to fill in. */
function asWritten(recipe: JsonSchema): JsonSchema {
  const { resources, ...properties } = recipe.properties as Record<string, JsonSchema>;
  const required = ((resources?.required ?? []) as string[]).filter((key) => key !== 'gpus_per_node');
  return {
    ...recipe,
    properties: {
      ...properties,
      resources: { ...resources, required },
      sweep: orElse(orListOfValues(sweepJsonSchema), POINTS),
    },
  };
}

const orListOfValues = (sweep: JsonSchema): JsonSchema => ({
  ...sweep,
  properties: Object.fromEntries(
    Object.entries(sweep.properties as Record<string, JsonSchema>).map(([name, schema]) => [
      name,
      orElse(schema, { type: 'array', minItems: 1 }),
    ]),
  ),
});

/** A schema of a single value, in contrast to a map with parts. */
const isLeaf = (schema: JsonSchema): boolean => schema.anyOf === undefined && schema.type !== 'object';

const orPlaceholder = (schema: JsonSchema): JsonSchema =>
  isLeaf(schema) && schema.type !== 'string'
    ? orElse(schema, { type: 'string', pattern: '^\\{[A-Za-z_]\\w*\\}$' })
    : schema;

const orNull = (schema: JsonSchema): JsonSchema => orElse(schema, { type: 'null' });

const orList = (schema: JsonSchema): JsonSchema =>
  isLeaf(schema) ? orElse(schema, { type: 'array' }) : schema;

/** The description and default stay outside, where an editor shows them. */
function orElse(schema: JsonSchema, other: JsonSchema): JsonSchema {
  const { description, default: preset, ...rest } = schema;
  return {
    ...(description === undefined ? {} : { description }),
    ...(preset === undefined ? {} : { default: preset }),
    anyOf: [rest, other],
  };
}

/** Applies `change` to every schema below `schema`, innermost first. */
function mapSchemas(schema: JsonSchema, change: (schema: JsonSchema) => JsonSchema): JsonSchema {
  const below = (part: unknown): unknown =>
    typeof part === 'object' && part !== null ? change(mapSchemas(part as JsonSchema, change)) : part;
  const entries = Object.entries(schema).map(([key, value]): [string, unknown] => {
    if (key === 'properties') {
      const parts = Object.entries(value as JsonSchema).map(([name, part]) => [name, below(part)]);
      return [key, Object.fromEntries(parts)];
    }
    // `change` applies to the branches of a union; the union as a whole is one value.
    if (key === 'anyOf') return [key, (value as JsonSchema[]).map((one) => below(one))];
    if (key === 'items' || key === 'additionalProperties') return [key, below(value)];
    return [key, value];
  });
  return Object.fromEntries(entries);
}

function withoutRequired(schema: JsonSchema): JsonSchema {
  const { required: _, ...rest } = mapSchemas(schema, ({ required: _inner, ...partial }) => partial);
  return rest;
}
