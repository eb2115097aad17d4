import * as z from 'zod';
import { YET } from '../model/checks.ts';
import type { EndpointProcess } from '../model/kinds.ts';
import { PlanError } from '../os/errors.ts';
import type { Recipe } from '../recipe/schema/schema.ts';
import { type Flags, flagsSchema, flagsToArgv } from '../recipe/values/flags.ts';
import { baseName } from '../recipe/values/model-name.ts';
import { environmentsShape, positiveSchema } from '../recipe/values/values.ts';
import { allocate, processPerNode, workerNodesNeeded } from './common/allocation.ts';
import { configReader } from './common/config.ts';
import { nsysPrefix, profilingEnvironment } from './common/profiling.ts';
import { noStepsToProfile } from './common/profiling-checks.ts';
import { type BackendProtocol, recipeMode, type WorkerContext } from './common/protocol.ts';
import { requireOneNode, requireUnset } from './common/requirements.ts';
import { commonEnvironment, fillIn, visibleDevices } from './common/worker-environment.ts';

/**
 * TileRT's section for both roles, as SemiAnalysis's fork of the reference has it (SemiAnalysisAI/srt-slurm at 0d8ee6c,
 * backends/tilert.py): prefill workers are vLLM's, with what the decode workers need.
 */
const pairShape = {
  model_profile: z.string().nullish().describe("TileRT's profile of the model, for a section of both roles"),
  prefill_container: z.string().nullish().describe('image of prefill workers, or alias from containers'),
  weight_model_type: z.string().nullish().describe('model for the conversion of weights'),
  weights_dir: z.string().nullish().describe('directory of the converted weights, as decode workers see it'),
  max_seq_len: positiveSchema.default(202_752).describe('longest sequence'),
  kv_cache_dtype: z.string().default('fp8').describe('type of the KV cache of decode workers'),
  prefill_kv_cache_dtype: z
    .string()
    .default('fp8_ds_mla')
    .describe('type of the KV cache of prefill workers'),
  transport: z.enum(['nixl', 'mooncake']).default('nixl').describe('how the KV cache moves'),
  with_mtp: z.boolean().default(true).describe('predict several tokens at once'),
  speculative_tokens: positiveSchema.default(1).describe('tokens that prefill workers predict'),
};

const tilertBackendSchema = z.strictObject({
  type: z.literal('tilert'),
  ...environmentsShape,
  tilert_config: z
    .strictObject({
      prefill: flagsSchema.nullish().describe('options of vLLM for prefill workers, with model_profile'),
      decode: flagsSchema.nullish().describe('of decode workers'),
    })
    .nullish()
    .describe('options of the TileRT decode server, without the leading dashes'),
  served_model_name: z
    .string()
    .min(1)
    .nullish()
    .describe('what clients call the model, where the prefill workers do not say'),
  ...pairShape,
});
type TilertConfig = z.infer<typeof tilertBackendSchema>;

const configOf = configReader<TilertConfig>('tilert');

/** Options that follow from the plan. */
const OWN = ['engine', 'http-port', 'ctrl-port'];

/**
 * TileRT's decode server (tile-ai/TileRT at 0ea1937, 0.1.6: tilert/pd_vllm/decode_server.py). It gets a prefilled KV cache
 * from vLLM with TileRT's connector, behind TileRT's router. It listens when its engine is loaded.
 */
export const tilert = {
  type: 'tilert',
  name: 'TileRT',
  schema: tilertBackendSchema,
  routers: { 'tilert-router': 'all' },
  notDone: (recipe, way) => [
    ...noStepsToProfile(recipe, way),
    ...(configOf(recipe).weight_model_type == null
      ? []
      : [
          {
            path: ['backend', 'weight_model_type'],
            text: `${YET}weights are not converted; weights_dir must have them`,
          },
        ]),
  ],
  workerNodesNeeded,
  allocateEndpoints: (recipe, nodes) => allocate(recipe, nodes),
  endpointsToProcesses: (recipe, endpoints, ports) =>
    endpoints.flatMap((endpoint): EndpointProcess[] => {
      if (endpoint.mode === 'agg' || (endpoint.mode === 'prefill' && !isPair(recipe)))
        throw new PlanError('wrong-engine', 'TileRT has decode workers alone', {
          place: { file: '', path: 'backend.type' },
          hint: `give ${endpoint.mode} workers an engine of their own: vllm, with TileRT's connector, for prefill`,
        });
      requireOneNode('a TileRT worker', endpoint);
      return processPerNode(endpoint, ports);
    }),
  command,
  servedModel: (recipe) => {
    const { served_model_name: given } = configOf(recipe);
    const name = isPair(recipe) ? recipe.model.path.replace(/^hf:/, '') : baseName(recipe.model.path);
    return { name: given ?? name, isGiven: given != null };
  },
  environment: (context) => ({
    ...commonEnvironment(context),
    // The setup script of such recipes asks for it.
    ...(isPair(context.recipe) ? { TILERT_ROLE: context.process.mode } : {}),
    ...fillIn(configOf(context.recipe)[`${recipeMode(context.process.mode)}_environment`], context),
    ...profilingEnvironment(context),
    ...visibleDevices(context),
  }),
  image: (recipe, mode) => (mode === 'prefill' ? configOf(recipe).prefill_container : null),
  // The control port is where prefill workers ask for a transfer.
  ports: ({ process: { ports } }) => ({ bootstrap: null, kvEvents: null, system: null, nixl: ports.nixl }),
  healthProbe: ({ runtime, process: { node, ports } }) => ({
    ...{ kind: 'http', host: runtime.address(node), port: ports.http, path: '/health' },
  }),
} satisfies BackendProtocol;

const isPair = (recipe: Recipe): boolean => configOf(recipe).model_profile != null;

/** vLLM with TileRT's connector. */
function prefill({ recipe, runtime, process }: WorkerContext): string[] {
  const config = configOf(recipe);
  const transfer = {
    kv_connector: 'TileRTConnector',
    kv_connector_module_path: 'tilert.pd_vllm.prefill_connector',
    kv_role: 'kv_producer',
    kv_connector_extra_config: {
      tilert_model: config.model_profile,
      tilert_max_seq_len: config.max_seq_len,
      tilert_transport: config.transport,
    },
  };
  const options = {
    'tensor-parallel-size': process.gpus.length,
    'max-model-len': config.max_seq_len,
    'return-tokens-as-token-ids': true,
    'kv-cache-dtype': config.prefill_kv_cache_dtype,
    'kv-transfer-config': transfer,
    ...(config.with_mtp
      ? { 'speculative-config': { method: 'mtp', num_speculative_tokens: config.speculative_tokens } }
      : {}),
    ...config.tilert_config?.prefill,
  };
  return [
    ...['vllm', 'serve', runtime.modelPathInside],
    ...['--served-model-name', tilert.servedModel(recipe).name],
    ...['--host', runtime.listenAddress(process.node), '--port', String(process.ports.http)],
    ...flagsToArgv(options),
  ];
}

/** What the section of both roles says to the decode server. */
function ofPair(recipe: Recipe): Flags {
  const config = configOf(recipe);
  if (!isPair(recipe)) return {};
  return {
    model: config.model_profile ?? null,
    'model-weights-dir': config.weights_dir ?? null,
    'max-seq-len': config.max_seq_len,
    'kv-cache-dtype': config.kv_cache_dtype,
    transport: config.transport,
    'with-mtp': config.with_mtp,
  };
}

function command(context: WorkerContext): string[] {
  const { recipe, process } = context;
  if (process.mode === 'prefill') return [...nsysPrefix(context, { forks: false }), ...prefill(context)];
  const options = configOf(recipe).tilert_config?.decode ?? {};
  requireUnset('backend.tilert_config.decode', options, OWN);
  return [
    ...nsysPrefix(context, { forks: false }),
    ...['python', '-m', 'tilert.pd_vllm.decode_server', '--engine', 'tilert'],
    ...['--http-port', String(process.ports.http), '--ctrl-port', String(process.ports.nixl)],
    ...flagsToArgv({ ...ofPair(recipe), ...options }),
  ];
}
