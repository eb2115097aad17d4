import { pythonJson } from '../../recipe/values/flags.ts';
import { recipeMode, type WorkerContext } from './protocol.ts';

/** The option that makes a worker publish its KV cache events, when the recipe enables it for the mode. */
export function kvEventsArguments({ recipe, process: { mode, ports } }: WorkerContext): string[] {
  const config = 'kv_events_config' in recipe.backend ? recipe.backend.kv_events_config : undefined;
  const ofMode = typeof config === 'object' ? config?.[recipeMode(mode)] : config;
  if (!ofMode || ports.kvEvents === null) return [];
  const chosen = ofMode === true ? { publisher: 'zmq', topic: 'kv-events' } : ofMode;
  return ['--kv-events-config', pythonJson({ ...chosen, endpoint: `tcp://*:${ports.kvEvents}` })];
}
