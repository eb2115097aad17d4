import {
  clusterJsonSchema,
  type JsonSchema,
  recipeJsonSchema,
  sweepJsonSchema,
} from '../src/recipe/json-schema.ts';

/** docs/reference/config.md: every key of a recipe and of srtslurm.yaml, from their schemas. */
export function configReference(): string {
  const recipe = beginningWith(
    ['schema', 'name', 'model', 'engine', 'roles', 'resources'],
    recipeJsonSchema(2),
  );
  const first = recipeJsonSchema(1);
  return `${[
    '# Keys of recipes and of srtslurm.yaml',
    'Made from the schemas by `npm run docs`; the schemas are where to change it. `srtctl schema --json` prints them as JSON Schema, with which editors complete and check a recipe. [recipes.md](recipes.md) says how a recipe is written, with overrides and sweeps.',
    '## Recipe',
    'In the second layout, `schema: 2`.',
    topLevel(recipe),
    'Beside these there is `sweep`, and a file may have `base`, `override_<name>` and `zip_override_<name>`.',
    ...Object.entries(properties(recipe)).flatMap(([name, schema]) => section(name, schema)),
    ...section('sweep', sweepJsonSchema),
    ...inTheFirst(recipe, first),
    '## srtslurm.yaml',
    'What is the same for all jobs of a cluster. It is looked for as `$SRTSLURM_CONFIG`, then here and up to two directories above.',
    table(leaves(clusterJsonSchema())),
  ].join('\n\n')}\n`;
}

/** The keys in the order in which a recipe has them. */
function beginningWith(names: readonly string[], schema: JsonSchema): JsonSchema {
  const all = properties(schema);
  const first = Object.fromEntries(names.map((name) => [name, all[name]]));
  return { ...schema, properties: { ...first, ...all } };
}

const topLevel = (recipe: JsonSchema): string =>
  table(leaves(recipe).filter(({ path }) => !path.includes('.')));

/** What a recipe of the first layout has in other places or by other names. */
function inTheFirst(second: JsonSchema, first: JsonSchema): string[] {
  const [ours, theirs] = [properties(second), properties(first)];
  const differing = Object.entries(theirs).filter(([name, schema]) => {
    const other = ours[name];
    return !other || section(name, schema).join() !== section(name, other).join();
  });
  const only = Object.keys(ours).filter((name) => !(name in theirs));
  return [
    '## Recipe of the first layout',
    `A recipe without \`schema: 2\`. It has no ${only.map((name) => `\`${name}\``).join(' and no ')}, and these sections in place of those above; all others are the same. [migrating.md](../how-to/migrating.md#recipes-of-the-first-layout) says which key becomes which.`,
    ...differing.flatMap(([name, schema]) => section(name, schema, ' (first layout)')),
  ];
}

function section(name: string, schema: JsonSchema, layout = ''): string[] {
  const kinds = branches(schema).map(itemOf).filter(isMap);
  const single = kinds.length === 1 ? kinds[0] : undefined;
  if (single) return [`### ${name}${layout}`, sentence(schema), table(leaves(single))];
  return kinds.flatMap((kind) => {
    const { type, ...others } = properties(kind);
    const value = String(type?.const);
    return [`### ${name}, type: ${value}${layout}`, table(leaves({ ...kind, properties: others }))];
  });
}

interface Leaf {
  readonly path: string;
  readonly schema: JsonSchema;
  readonly required: boolean;
}

/** All keys below a map. The keys of inner maps follow it, with dots. */
function leaves(schema: JsonSchema, prefix = ''): Leaf[] {
  const required = (schema.required ?? []) as string[];
  return Object.entries(properties(schema)).flatMap(([name, below]) => {
    const path = prefix + name;
    const own = { path, schema: below, required: required.includes(name) };
    const inner = branches(below).filter(isMap);
    // A section of a recipe, or a choice among kinds, has its own table.
    return [own, ...(inner.length === 1 ? leaves(inner[0] as JsonSchema, `${path}.`) : [])];
  });
}

const properties = (schema: JsonSchema) => (schema.properties ?? {}) as Readonly<Record<string, JsonSchema>>;

/** A list of maps has the table of one of them. */
const itemOf = (schema: JsonSchema): JsonSchema =>
  schema.type === 'array' && schema.items ? (schema.items as JsonSchema) : schema;

function branches(schema: JsonSchema): JsonSchema[] {
  if (schema.anyOf) return (schema.anyOf as JsonSchema[]).flatMap(branches);
  return Array.isArray(schema.type) ? schema.type.map((type) => ({ ...schema, type })) : [schema];
}

const isMap = (schema: JsonSchema): boolean => Object.keys(properties(schema)).length > 0;

function table(rows: readonly Leaf[]): string {
  if (rows.length === 0) return 'It has no options of its own.';
  const lines = rows.map(
    ({ path, schema, required }) =>
      `| \`${path}\` | ${cell(typeOf(schema))} | ${required ? 'required' : cell(presetOf(schema))} | ${cell(sentence(schema))} |`,
  );
  return ['| key | type | default | meaning |', '|---|---|---|---|', ...lines].join('\n');
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

const sentence = ({ description }: JsonSchema): string => String(description ?? '');

const presetOf = ({ default: preset }: JsonSchema): string =>
  preset === undefined || (typeof preset === 'object' && JSON.stringify(preset).length <= 2)
    ? ''
    : `\`${typeof preset === 'object' ? JSON.stringify(preset) : String(preset)}\``;

const NAMES: Readonly<Record<string, string>> = {
  string: 'text',
  integer: 'whole number',
  number: 'number',
  boolean: 'true or false',
};

function typeOf(schema: JsonSchema): string {
  const kinds = branches(schema)
    .filter(({ type }) => type !== 'null')
    .map(single);
  return [...new Set(kinds)].join(' or ') || 'anything';
}

function single(schema: JsonSchema): string {
  const { type, enum: values, const: value, items } = schema;
  if (value !== undefined) return `\`${String(value)}\``;
  if (values) return (values as unknown[]).map((one) => `\`${String(one)}\``).join(', ');
  if (type === 'array') return `list of ${items ? typeOf(items as JsonSchema) : 'anything'}`;
  if (type === 'object') return 'map';
  return NAMES[String(type)] ?? 'anything';
}
