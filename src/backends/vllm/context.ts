import type { EndpointMode, EndpointProcess } from '../../model/kinds.ts';
import { recipeOf } from '../../model/recipe-of.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';
import type { Flags } from '../../recipe/values/flags.ts';
import { baseName } from '../../recipe/values/model-name.ts';
import { PUBLIC_PORT } from '../../recipe/values/ports.ts';
import { configReader, optionsOf as optionsOfMode } from '../common/config.ts';
import type { WorkerContext } from '../common/protocol.ts';
import { type Layout, layoutOf } from './layout.ts';
import { usesMoriio } from './moriio.ts';
import type { VllmConfig } from './schema.ts';

export const configOf = configReader<VllmConfig>('vllm');

export const hasMoriio = ({ recipe, process }: WorkerContext): boolean => usesMoriio(recipe, process.mode);

/** Clients send requests directly to the only worker. */
export const isDirect = (recipe: Recipe): boolean => recipe.frontend.type === 'vllm';

/** Each endpoint is a `vllm serve`, without Dynamo. */
export const isServer = (recipe: Recipe): boolean => recipe.frontend.type !== 'dynamo';

export const serves = ({ recipe, process }: WorkerContext): boolean => isServer(recipe) && process.rank === 0;

/** The port of the endpoint's first node for requests; without a router it is the clients' port. */
export function servingPort({ recipe, runtime, ranks, process }: WorkerContext): number {
  const leader = ranks[0] ?? process;
  return isDirect(recipe) ? runtime.port(leader.node, PUBLIC_PORT) : leader.ports.http;
}

/** The port of health and metrics. */
export const statusPort = (context: WorkerContext): number =>
  isServer(context.recipe) ? servingPort(context) : context.process.ports.system;

/** Also of a mode whose view of the recipe is another one; nothing where another engine has that mode. */
export function optionsOf(recipe: Recipe, mode: EndpointMode): Flags {
  const own = recipeOf(recipe, mode);
  return own.backend.type === 'vllm' ? optionsOfMode(configOf(own).vllm_config, mode) : {};
}

/** @throws PlanError when the parallel sizes of the recipe do not make up the endpoint's GPUs */
export function layoutFor(
  recipe: Recipe,
  mode: EndpointMode,
  endpoint: { nodes: readonly string[]; gpus: readonly number[] },
): Layout {
  const launch = configOf(recipe).dp_launch_mode;
  // Its own server starts all ranks of its node itself.
  return layoutOf(mode, optionsOf(recipe, mode), endpoint, isServer(recipe) ? 'none' : launch);
}

export const layoutAt = ({ recipe, process, ranks }: WorkerContext): Layout => {
  const gpus = ranks.filter(({ node }) => node === process.node).flatMap((rank) => rank.gpus);
  return layoutFor(recipe, process.mode, { nodes: nodesOf(ranks), gpus });
};

export const nodesOf = (ranks: readonly EndpointProcess[]): string[] => [
  ...new Set(ranks.map(({ node }) => node)),
];

/** Clients use one name for all modes. */
export const servedName = (recipe: Recipe): string => givenName(recipe) ?? baseName(recipe.model.path);

export function givenName(recipe: Recipe): string | undefined {
  for (const mode of ['prefill', 'agg', 'decode'] as const) {
    const name = optionsOf(recipe, mode)['served-model-name'];
    if (name) return String(name);
  }
  return undefined;
}
