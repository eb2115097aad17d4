import type { Finding } from '../model/checks.ts';
import { PlanError } from '../os/errors.ts';
import type { Recipe } from '../recipe/schema/schema.ts';
import type { OwnPlace } from './common/process.ts';
import type { BenchmarkContext } from './common/protocol.ts';
import type { LoadgenConfig } from './loadgen/config.ts';
import { PROGRESS_FILE } from './sa-bench-settings.ts';

/** The file in which the first client says how to reach it, in the point's directory. */
const MEETING_FILE = 'clients.json';

/** Why several clients cannot measure together. */
export function clientFindings({ benchmark }: Pick<Recipe, 'benchmark'>): Finding[] {
  const { clients, client } = benchmark;
  return (clients ?? 1) > 1 && client != null && client !== 'srtctl'
    ? [{ path: ['benchmark', 'clients'], text: `is ${clients}: ${client} measures from one node alone` }]
    : [];
}

/**
 * The nodes of the clients, the first one's first: nodes of their own where the recipe sets them aside, else those of
 * workers, one client on each.
 * @throws PlanError when the deployment has too few nodes
 */
function nodesOf({ recipe, roles }: BenchmarkContext): string[] {
  const clients = recipe.benchmark.clients ?? 1;
  const others = roles.clients ?? [roles.head, ...roles.workers].filter((node) => node !== roles.bench);
  const nodes = [roles.bench, ...new Set(others)].slice(0, clients);
  if (nodes.length === clients) return nodes;
  throw new PlanError(
    'too-few-nodes',
    `${clients} clients need as many nodes, and the deployment has ${nodes.length} for them: client_dedicated_node gives them nodes of their own`,
    { place: { file: '', path: 'benchmark.clients' } },
  );
}

/** How one of several clients finds the others; null: it is alone. */
export function groupOf(context: BenchmarkContext, index: number): LoadgenConfig['group'] {
  const nodes = nodesOf(context);
  const [first] = nodes;
  if (first === undefined || nodes.length === 1) return null;
  const { runtime, pointDir } = context;
  return {
    index,
    nodes: nodes.map((node) => runtime.host(node)),
    host: runtime.address(first),
    meeting: `${pointDir}/${MEETING_FILE}`,
  };
}

/** The clients beside the first one: their settings, and where each leaves its files. */
export function furtherClients(
  context: BenchmarkContext,
  config: LoadgenConfig,
): (OwnPlace & { readonly directory: string; readonly config: LoadgenConfig })[] {
  return nodesOf(context)
    .slice(1)
    .map((node, at) => {
      const name = `client-${at + 1}`;
      const directory = `${context.pointDir}/${name}`;
      return {
        ...{
          id: `benchmark-${at + 1}`,
          node,
          log: `benchmark-${at + 1}.out`,
          progressDir: directory,
          directory,
        },
        config: {
          ...config,
          // The first one asks the engines, and judges.
          ...{ caches: [], engines: [], group: groupOf(context, at + 1) },
          ...{ resultDir: directory, progressFile: `${directory}/${PROGRESS_FILE}` },
        },
      };
    });
}
