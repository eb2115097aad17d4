import type { EndpointMode } from '../../model/kinds.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';
import type { Flags } from '../../recipe/values/flags.ts';
import { loadPort, replayPort } from '../../recipe/values/ports.ts';
import { optionsOf } from '../common/config.ts';
import { boundTo } from '../common/kv-events.ts';
import { recipeMode, type WorkerContext } from '../common/protocol.ts';
import type { SglangConfig } from './schema.ts';

const LOAD = 'load-publish-endpoint';

/** `replay` and `load` where the recipe leaves their ports to srtctl; null where it does not. */
interface Published {
  readonly replay: number | null;
  readonly load: number | null;
}

/**
 * First ports of what a worker publishes beside its KV events, where the recipe says `auto`. Rank r of data parallelism
 * binds the port plus r (0.5.23, srt/disaggregation/kv_events.py). SGLang's own `auto` puts the load's ports behind those
 * of the events, where the next worker's events are.
 */
export function publishedPorts(context: WorkerContext): Published {
  const { recipe, runtime, process, all } = context;
  const config = 'kv_events_config' in recipe.backend ? recipe.backend.kv_events_config : undefined;
  const events = typeof config === 'object' ? config?.[recipeMode(process.mode)] : undefined;
  const before = all
    .slice(0, all.indexOf(process))
    .filter(({ node }) => node === process.node)
    .reduce((sum, { mode }) => sum + ranksOf(flagsOf(recipe, mode)), 0);
  const port = (planned: number) => runtime.port(process.node, planned);
  return {
    replay: typeof events === 'object' && events.replay_endpoint === 'auto' ? port(replayPort(before)) : null,
    load: flagsOf(recipe, process.mode)[LOAD] === 'auto' ? port(loadPort(before)) : null,
  };
}

/** A recipe's options with the address at which the worker publishes its load. */
export const withLoadPort = (flags: Flags, { load }: Published): Flags =>
  load === null ? flags : { ...flags, [LOAD]: boundTo(load) };

/** Ranks of data parallelism of a worker. */
export const ranksOf = (flags: Flags): number =>
  Number(flags['dp-size'] ?? flags['data-parallel-size'] ?? flags.dp ?? 1);

const flagsOf = ({ backend }: Recipe, mode: EndpointMode): Flags =>
  optionsOf((backend as SglangConfig).sglang_config, mode);
