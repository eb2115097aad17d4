import { pythonJson } from '../../recipe/values/flags.ts';
import { recipeMode, type WorkerContext } from './protocol.ts';

/** An address of every interface. */
export const boundTo = (port: number): string => `tcp://*:${port}`;

/**
 * The option that makes a worker publish its KV cache events, when the recipe enables it for the mode. `replay`: the port
 * for `replay_endpoint: auto`.
 */
export const kvEventsArguments = (context: WorkerContext, replay: number | null = null): string[] =>
  kvEventsOf(context, 'tcp://*', replay);

/** The same, at another address. */
export function kvEventsOf(
  { recipe, process: { mode, ports } }: WorkerContext,
  address: string,
  replay: number | null = null,
): string[] {
  const config = 'kv_events_config' in recipe.backend ? recipe.backend.kv_events_config : undefined;
  const ofMode = typeof config === 'object' ? config?.[recipeMode(mode)] : config;
  if (!ofMode || ports.kvEvents === null) return [];
  const asked = ofMode === true ? { publisher: 'zmq', topic: 'kv-events' } : ofMode;
  const chosen =
    asked.replay_endpoint === 'auto' && replay !== null
      ? { ...asked, replay_endpoint: boundTo(replay) }
      : asked;
  return ['--kv-events-config', pythonJson({ ...chosen, endpoint: `${address}:${ports.kvEvents}` })];
}
