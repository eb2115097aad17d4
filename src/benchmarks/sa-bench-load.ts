import { type Finding, VAIN, type Way } from '../model/checks.ts';
import type { Recipe } from '../recipe/schema/schema.ts';
import type { LoadgenConfig } from './loadgen/config.ts';
import { FILE_DATASETS, type FileDataset } from './loadgen/workload/settings.ts';

/** What a recipe, or a command line, asks of the load generator. */
type Asked = Pick<Recipe, 'benchmark'>;

type Pace = Pick<Recipe['benchmark'], 'arrivals' | 'burstiness'>;

/** A burstiness is that of gamma's gaps. */
export const arrivalsOf = ({ arrivals, burstiness }: Pace): LoadgenConfig['arrivals'] =>
  arrivals ?? (burstiness == null || burstiness === 1 ? 'poisson' : 'gamma');

/** Contradictions in the recipe's load shape. */
export function paceFindings({ benchmark }: Asked): Finding[] {
  const { req_rate, burstiness, arrivals } = benchmark;
  const at = (key: string, text: string) => [{ path: ['benchmark', key], text }];
  if (req_rate === 'inf' && arrivals != null) return at('arrivals', 'needs a req_rate other than inf');
  if (req_rate === 'inf' && burstiness != null) return at('burstiness', 'needs a req_rate other than inf');
  if (burstiness != null && arrivals != null && arrivals !== 'gamma')
    return at('burstiness', `is the shape of gamma's gaps, and arrivals is ${arrivals}`);
  return [];
}

/** Data sets that the load generator reads, beside random prompts. */
const isFile = (name: string): name is FileDataset => FILE_DATASETS.some((one) => one === name);

/** What prompts are made of; undefined when the recipe names a data set that cannot be read. */
export function datasetOf({ benchmark }: Asked): LoadgenConfig['dataset'] | undefined {
  const { dataset_name: name = 'random', dataset_path: path } = benchmark;
  if (name === null || name === 'random') return { name: 'random' };
  return isFile(name) && path != null ? { name, path } : undefined;
}

/** Problems of the recipe's data set. */
export function datasetFindings({ benchmark }: Asked): Finding[] {
  const { dataset_name: name, dataset_path: path } = benchmark;
  if (name == null || name === 'random')
    return path == null
      ? []
      : [{ path: ['benchmark', 'dataset_name'], text: `is missing: dataset_path needs one of ${NAMES}` }];
  if (!isFile(name))
    return [{ path: ['benchmark', 'dataset_name'], text: `is ${name}: srtctl reads random, ${NAMES}` }];
  return path == null
    ? [{ path: ['benchmark', 'dataset_path'], text: `is missing: the file of the ${name} data set` }]
    : [];
}

const NAMES = FILE_DATASETS.join(' and ');

/** Keys of the recipe that the load does not follow. */
export function vainFindings(recipe: Recipe, way: Way): Finding[] {
  const { benchmark } = recipe;
  const vain = (key: keyof Recipe['benchmark'], why: string): Finding[] =>
    benchmark[key] == null ? [] : [{ path: ['benchmark', key], text: `${VAIN}${why}` }];
  return [
    ...(datasetOf(recipe)?.name === 'random'
      ? []
      : OF_RANDOM.flatMap((key) => vain(key, 'prompts are those of a file'))),
    ...(benchmark.dataset_name === 'custom' ? vain('osl', 'the file says how long answers are') : []),
    ...(benchmark.duration == null
      ? []
      : vain('num_prompts_mult', 'duration says how long requests are sent')),
    ...(way.mock && benchmark.use_chat_template === true
      ? vain(
          'use_chat_template',
          'simulated engines have no tokenizer, so prompts are words for /v1/chat/completions',
        )
      : []),
  ];
}

const OF_RANDOM = ['isl', 'random_range_ratio', 'shared_prefix_ratio', 'use_chat_template'] as const;
