import { nodesNeeded, planVariant } from '../../src/plan/plan.ts';
import { createRuntimeContext, dryRunInput } from '../../src/plan/runtime-context.ts';
import type { ClusterConfig } from '../../src/recipe/schema/cluster.ts';
import { cluster, loadText } from '../recipe/write.ts';

/** The points of a recipe's text, on nodes node1, node2 and on. */
export function pointsOf(text: string, config: Partial<ClusterConfig> = {}) {
  const whole = cluster(config);
  const [variant] = loadText(text, { cluster: whole });
  if (!variant) throw new Error('no variant');
  const nodes = Array.from({ length: nodesNeeded(variant) }, (_, index) => `node${index + 1}`);
  return planVariant(variant, createRuntimeContext(dryRunInput(nodes, whole))).points;
}

/** The first point. */
export function pointOf(text: string, config: Partial<ClusterConfig> = {}) {
  const [point] = pointsOf(text, config);
  if (!point) throw new Error('no point');
  return point;
}

/** The place of each endpoint, as `decode-0 node3,node4 0-3`. */
export const placesOf = (text: string, config: Partial<ClusterConfig> = {}): string[] =>
  pointOf(text, config).endpoints.map(
    ({ mode, index, nodes, gpus }) => `${mode}-${index} ${nodes} ${gpus[0]}-${gpus.at(-1)}`,
  );

/** A process of a recipe's text, by its id. */
export function processOf(text: string, id: string) {
  const { processes } = pointOf(text);
  const found = processes.find((process) => process.id === id);
  if (!found) throw new Error(`no ${id}, but ${processes.map((process) => process.id)}`);
  return found;
}

/** The values of an option on a command line, joined; undefined when the option is missing. */
export function option(argv: readonly string[], name: string): string | undefined {
  const at = argv.indexOf(name);
  if (at < 0) return undefined;
  const after = argv.slice(at + 1);
  const end = after.findIndex((word) => word.startsWith('--'));
  return after.slice(0, end < 0 ? undefined : end).join(' ');
}
