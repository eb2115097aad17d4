import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { modesOf, recipeOf } from '../../src/model/recipe-of.ts';
import { nodesToAllocate } from '../../src/plan/plan.ts';
import { recipeSchema } from '../../src/recipe/layouts/recipe-schema.ts';
import { findRecipes, type LoadedVariant, loadEach } from '../../src/recipe/load.ts';
import { findClusterConfig } from '../../src/recipe/schema/cluster.ts';
import type { Recipe } from '../../src/recipe/schema/schema.ts';

/** The public recipes are kept beside this repository and not in it. */
const shared = resolve(import.meta.dirname, '../../../shared');
export const arePresent = existsSync(join(shared, 'recipes')) || process.env.CI === 'true';

/** Recipes whose runs do not differ: same engine, router, roles and benchmark. */
export interface RecipeClass {
  /** `sglang, dynamo behind nginx, prefill and decode, sa-bench` */
  readonly name: string;
  readonly variants: number;
  /** The variant of the class that needs the fewest nodes. */
  readonly example: LoadedVariant;
  readonly benchmark: Recipe['benchmark']['type'];
}

const firstRecipe = (variant: LoadedVariant): Recipe => {
  const [point] = variant.points;
  if (!point) throw new TypeError('a variant without points');
  return point.recipe;
};

function classOf(variant: LoadedVariant): string {
  const recipe = firstRecipe(variant);
  const { frontend, resources, benchmark } = recipe;
  const engines = [...new Set(modesOf(recipe).map((mode) => recipeOf(recipe, mode).backend.type))];
  const router = `${frontend.type}${frontend.enable_multiple_frontends ? ' behind nginx' : ''}`;
  if (engines.length === 0) return ['services alone', router, benchmark.type].join(', ');
  const roles = resources.agg_nodes ? 'aggregated' : 'prefill and decode';
  return [engines.join(' and '), router, roles, benchmark.type].join(', ');
}

/** Its service serves /logs, which is a directory in containers alone. */
const NEEDS_CONTAINER = /^qwen3-0\.6b-services$/;

/** The classes of all variants of all public recipes. */
export async function recipeClasses(): Promise<RecipeClass[]> {
  const cluster = findClusterConfig({ SRTSLURM_CONFIG: join(shared, 'golden/srtslurm.yaml') }, shared);
  const files = await findRecipes([join(shared, 'recipes'), join(shared, 'recipes-v2')]);
  const classes = new Map<string, { variants: number; example: LoadedVariant; nodes: number }>();
  for (const { result } of loadEach(files, { cluster, env: { SRTCTL_ALLOW_DUPLICATE_KEYS: '1' } })) {
    if ('error' in result || NEEDS_CONTAINER.test(result.loaded.name)) continue;
    const nodes = nodesToAllocate(result.loaded);
    const name = classOf(result.loaded);
    const known = classes.get(name);
    const variants = (known?.variants ?? 0) + 1;
    classes.set(
      name,
      known && known.nodes <= nodes ? { ...known, variants } : { variants, nodes, example: result.loaded },
    );
  }
  return [...classes]
    .map(([name, { variants, example }]) => ({
      ...{ name, variants, example },
      benchmark: firstRecipe(example).benchmark.type,
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Two cores do not start more agents than this within a few seconds. */
const MOST_NODES = 4;

/**
 * A variant as a short recipe of one point: few and short requests, a command of our own where the benchmark
 * is a command, and fewer nodes with as many GPUs in all where it has many.
 */
export function shortened(variant: LoadedVariant, command: string): Recipe {
  const recipe = firstRecipe(variant);
  const { benchmark, resources } = recipe;
  const short = {
    ...benchmark,
    ...(benchmark.type === 'custom' ? { command } : {}),
    ...(benchmark.type === 'sa-bench' ? { isl: 32, osl: 8, concurrencies: [2] } : {}),
    ...(benchmark.num_examples == null ? {} : { num_examples: 4, num_threads: 2, num_shots: null }),
    ...(benchmark.type === 'sa-bench' ? { num_prompts_mult: 2, num_warmup_mult: 1 } : {}),
  };
  const isDenser = nodesToAllocate(variant) > MOST_NODES;
  return recipeSchema.parse({
    ...recipe,
    benchmark: short,
    resources: isDenser ? denser(resources) : resources,
    backend: isDenser ? withoutOwnPorts(recipe.backend) : recipe.backend,
  });
}

/** A fixed port for all workers of a role is only possible with one worker on each node. */
const withoutOwnPorts = (backend: Recipe['backend']): Recipe['backend'] =>
  JSON.parse(
    JSON.stringify(backend, (key, value) => (key === 'disaggregation-bootstrap-port' ? undefined : value)),
  );

/** The largest factor that divides both roles' nodes; a role keeps its number of GPUs. */
function denser(resources: Recipe['resources']): Recipe['resources'] {
  const { prefill_nodes: prefill = 0, decode_nodes: decode = 0, gpus_per_node: gpus } = resources;
  const [first, second] = [prefill ?? 0, decode ?? 0];
  const factor = divisor(first, second);
  return {
    ...resources,
    gpus_per_node: gpus * factor,
    ...(first > 0 ? { prefill_nodes: first / factor } : {}),
    ...(second > 0 ? { decode_nodes: second / factor } : {}),
  };
}

const divisor = (a: number, b: number): number => (b === 0 ? Math.max(a, 1) : divisor(b, a % b));
