import { type Finding, VAIN } from '../model/checks.ts';
import type { Recipe } from '../recipe/schema/schema.ts';
import type { BenchmarkKey } from './common/protocol.ts';

type Asked = Pick<Recipe, 'benchmark'>;

const isOutside = ({ benchmark: { client } }: Asked): boolean => client != null && client !== 'srtctl';

/** Why another client cannot do what the recipe asks. */
export function outsideFindings(recipe: Asked): Finding[] {
  if (!isOutside(recipe)) return [];
  const { client, api_key_env: key, dataset_name: dataset, tokenizer } = recipe.benchmark;
  const at = (name: BenchmarkKey, text: string): Finding => ({ path: ['benchmark', name], text });
  return [
    ...(client === 'aiperf' && key != null
      ? [
          at(
            'api_key_env',
            'aiperf takes a key on its command line alone, where every user of the node can read it',
          ),
        ]
      : []),
    ...(tokenizer === 'none' ? [at('tokenizer', `${client} makes no prompt without a tokenizer`)] : []),
    ...(dataset === 'custom' || (client === 'aiperf' && dataset === 'sharegpt')
      ? [at('dataset_name', `${client} does not read a file of this form`)]
      : []),
  ];
}

/** Keys that belong to the load generator alone, and those that one of the others follows. */
const OWN: readonly BenchmarkKey[] = [
  ...(['shared_prefix_ratio', 'ramp_up', 'duration', 'client_threads', 'request_records_mib'] as const),
  ...(['ttft_threshold_ms', 'itl_threshold_ms', 'e2e_threshold_ms'] as const),
];
const FOLLOWED_BY: Partial<Record<BenchmarkKey, readonly string[]>> = {
  arrivals: ['aiperf'],
  burstiness: ['aiperf', 'vllm-bench'],
  reuse_http_connections: ['aiperf'],
  aiperf_args: ['aiperf'],
};

/** Keys that the client of the recipe does not follow. */
export function vainOutside(recipe: Asked, { mock }: { readonly mock: boolean }): Finding[] {
  const { benchmark } = recipe;
  const { client } = benchmark;
  const vain = (key: BenchmarkKey, why: string): Finding[] =>
    benchmark[key] == null ? [] : [{ path: ['benchmark', key], text: `${VAIN}${why}` }];
  if (!isOutside(recipe)) return vain('aiperf_args', 'it is for benchmark.client: aiperf');
  if (mock)
    return vain(
      'client',
      "simulated engines have no tokenizer, so srtctl's own load generator measures them",
    );
  const followed = Object.entries(FOLLOWED_BY) as [BenchmarkKey, readonly string[]][];
  return [
    ...OWN.flatMap((key) => vain(key, `${client} does not do this`)),
    ...followed.flatMap(([key, by]) =>
      by.includes(client ?? '') ? [] : vain(key, `${client} does not do this`),
    ),
  ];
}
