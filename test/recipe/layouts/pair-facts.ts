import { basename } from 'node:path';
import { parse } from 'yaml';
import { natsPayloadOf } from '../../../src/plan/infra.ts';
import { nodesNeeded, planVariant } from '../../../src/plan/plan.ts';
import { createRuntimeContext, dryRunInput } from '../../../src/plan/runtime-context.ts';
import { sbatchDirectives } from '../../../src/platform/slurm/sbatch.ts';
import { loadRecipeFile } from '../../../src/recipe/load.ts';
import { cluster } from '../write.ts';

/** What a process is, by a short text; the number of a worker or of its rank is left out. */
const nameOf = (id: string): string => id.replaceAll(/-\d+/g, '');

/**
 * Everything that a recipe file plans, as facts: `decode env NCCL_DEBUG` and its value, `frontend --router-mode` and its
 * value. Processes of one kind have their facts in the order in which they are planned, so that a difference names its
 * kind and not each of them.
 */
export function factsOf(file: string): Map<string, string> {
  const facts = new Map<string, string[]>();
  const add = (fact: string, value: unknown): void => {
    facts.set(fact, [...(facts.get(fact) ?? []), typeof value === 'string' ? value : JSON.stringify(value)]);
  };
  const addAll = (prefix: string, values: object): void => {
    for (const [key, value] of Object.entries(values))
      if (value !== undefined) add(`${prefix} ${key}`, value);
  };
  for (const result of loadRecipeFile({ file }, { cluster: cluster(), env: {} })) {
    if ('error' in result) throw result.error;
    const nodes = Array.from({ length: nodesNeeded(result.loaded) }, (_, at) => `node${at + 1}`);
    const { points, totalNodes } = planVariant(
      result.loaded,
      createRuntimeContext(dryRunInput(nodes, cluster())),
    );
    add('nodes', totalNodes);
    for (const { name, recipe, endpoints, services, processes } of points) {
      add('point', name);
      add('sbatch', sbatchDirectives(recipe, cluster(), totalNodes));
      add('nats payload', natsPayloadOf(recipe));
      add('endpoints', endpoints);
      addAll(
        'service',
        Object.fromEntries(services.map(({ name: service, type, nodes: on }) => [service, [type, on]])),
      );
      for (const section of [
        'benchmark',
        'telemetry',
        'observability',
        'supervision',
        'slurm',
        'identity',
      ] as const)
        addAll(`recipe ${section}`, recipe[section] ?? {});
      for (const { id, argv, env, files, ...spec } of processes) {
        const process = nameOf(id);
        addAll(process, spec);
        addAll(`${process} env`, env);
        for (const { path, content } of files ?? [])
          addAll(`${process} ${basename(path)}`, contentOf(path, content));
        addAll(process, optionsOf(argv));
      }
    }
  }
  return new Map([...facts].map(([fact, values]) => [fact, [...new Set(values)].join(' | ')]));
}

/** A configuration by its keys, another file as it is. */
function contentOf(path: string, content: string): object {
  const value: unknown = path.endsWith('.yaml') ? parse(content) : content;
  return typeof value === 'object' && value !== null ? value : { content };
}

/** A command line by its options, so that one option is one fact. */
function optionsOf(argv: readonly string[]): Record<string, string> {
  const options = new Map<string, string[]>([['argv', []]]);
  let option = 'argv';
  for (const word of argv) {
    if (/^--?[a-z]/.test(word)) option = word;
    const values = options.get(option) ?? [];
    options.set(option, word === option ? values : [...values, word]);
  }
  return Object.fromEntries([...options].map(([name, values]) => [name, values.join(' ')]));
}
