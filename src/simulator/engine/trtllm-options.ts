import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import * as z from 'zod';
import { Arguments, bindAddress, setting } from '../common/argv.ts';
import { clickOptions } from '../common/click.ts';
import { Fatal } from '../common/fatal.ts';
import type { EngineOptions } from './engine-options.ts';

/** The fields of TensorRT-LLM's config file that the simulator uses. */
const configSchema = z.looseObject({
  tensor_parallel_size: z.number().int().positive().nullish(),
  pipeline_parallel_size: z.number().int().positive().nullish(),
  max_batch_size: z.number().int().positive().nullish(),
  max_seq_len: z.number().int().positive().nullish(),
  stream_interval: z.number().int().positive().nullish(),
});

/** `python3 -m dynamo.trtllm`: it serves only on the request plane, so it needs no fixed port. */
export function dynamoOptions(argv: readonly string[]): EngineOptions {
  const args = new Arguments(argv);
  const modelPath = args.text('model-path');
  if (modelPath === undefined)
    throw new Fatal('dynamo.trtllm: error: the following arguments are required: --model-path', {
      exitCode: 2,
    });
  args.refuseUnknown('dynamo.trtllm');
  const mode = args.text('disaggregation-mode') ?? 'prefill_and_decode';
  if (!['prefill', 'decode', 'prefill_and_decode'].includes(mode))
    throw new Fatal(`dynamo.trtllm: error: argument --disaggregation-mode: invalid choice: '${mode}'`, {
      exitCode: 2,
    });
  return {
    ...common(args, modelPath, args.text('extra-engine-args')),
    servedModel: args.text('served-model-name') ?? modelPath,
    host: bindAddress('0.0.0.0'),
    port: 0,
    mode: mode === 'prefill' || mode === 'decode' ? mode : 'agg',
  };
}

/**
 * Options of `trtllm-serve MODEL` in 1.2 (tensorrt_llm/commands/serve.py), with their other spellings, and
 * `served_model_name` of later ones.
 */
const SERVE_OPTIONS: Readonly<Record<string, readonly string[]>> = Object.fromEntries(
  [
    'tokenizer custom_tokenizer host port backend custom_module_dirs log_level max_beam_width max_batch_size',
    'max_num_tokens max_seq_len tensor_parallel_size=tp_size pipeline_parallel_size=pp_size',
    'context_parallel_size=cp_size moe_expert_parallel_size=ep_size moe_cluster_parallel_size=cluster_size',
    'gpus_per_node free_gpu_memory_fraction=kv_cache_free_gpu_memory_fraction num_postprocess_workers',
    'trust_remote_code revision config=extra_llm_api_options reasoning_parser tool_parser',
    'metadata_server_config_file server_role fail_fast_on_attention_window_too_large otlp_traces_endpoint',
    'disagg_cluster_uri enable_chunked_prefill media_io_kwargs chat_template served_model_name',
  ]
    .flatMap((line) => line.split(' '))
    .map((option) => option.split('='))
    .map((names) => [names[0] ?? '', names.map((name) => `--${name}`)]),
);
const SERVE_FLAGS = new Set([
  'trust_remote_code',
  'fail_fast_on_attention_window_too_large',
  'enable_chunked_prefill',
]);

/** `trtllm-serve MODEL`: each request names the half of the work that the server does. */
export function serverOptions([modelPath, ...argv]: readonly string[]): EngineOptions {
  if (modelPath === undefined || modelPath.startsWith('-'))
    throw new Fatal("Error: Missing argument 'MODEL'.", { exitCode: 2 });
  const args = new Arguments(argv);
  const [unknown] = args.unknown;
  clickOptions(
    'trtllm-serve serve [OPTIONS] MODEL',
    Object.fromEntries(
      Object.entries(SERVE_OPTIONS).filter(([, spellings]) => !spellings.includes(unknown ?? '')),
    ),
    argv,
    SERVE_FLAGS,
  );
  return {
    ...common(args, modelPath, args.text('config', 'extra_llm_api_options')),
    servedModel: args.text('served_model_name') ?? modelPath,
    host: bindAddress(args.text('host') ?? 'localhost'),
    port: args.integer(8_000, 'port'),
    mode: 'agg',
  };
}

/** `python3 -m tensorrt_llm.commands.serve MODEL --grpc`: an engine for a sidecar. */
export function besideOptions([model, ...argv]: readonly string[]): EngineOptions {
  const args = new Arguments(argv);
  if (model === undefined || !args.has('grpc'))
    throw new Fatal("Error: Missing option '--grpc'.", { exitCode: 2 });
  return {
    ...common(args, model, args.text('extra_llm_api_options')),
    servedModel: model,
    host: bindAddress(args.text('host') ?? 'localhost'),
    port: 0,
    grpcPort: args.integer(8_000, 'port'),
    mode: 'agg',
  };
}

function common(args: Arguments, modelPath: string, file: string | undefined) {
  const config = file === undefined ? {} : readConfig(file);
  const size = (config.tensor_parallel_size ?? 1) * (config.pipeline_parallel_size ?? 1);
  const ranks = setting('SLURM_NTASKS', 1);
  if (size > ranks)
    throw new Fatal(`RuntimeError: world size ${size} is larger than the ${ranks} ranks that MPI started`, {
      traceback: true,
    });
  return {
    modelPath,
    bootstrapPort: 0,
    nnodes: 1,
    nodeRank: 0,
    distInitAddr: null,
    contextLength: config.max_seq_len ?? 131_072,
    // TensorRT-LLM's router asks its context servers for one token (openai_disagg_service.py), as Dynamo asks
    // its prefill workers.
    oneTokenOfPrefill: true,
    maxRunning: config.max_batch_size ?? 2_048,
    streamInterval: config.stream_interval ?? 1,
    dumpConfigTo: null,
    speed: setting('SRTCTL_SIM_SPEED', 1) || 1,
    sglang: false,
    loadMs: setting('SRTCTL_SIM_LOAD_MS', 2_000),
    hangAfterRequests: setting('SRTCTL_SIM_HANG_AFTER_REQUESTS', 0),
    record: { ...args.record(), ...config },
  };
}

function readConfig(file: string): z.infer<typeof configSchema> {
  try {
    return configSchema.parse(parse(readFileSync(file, 'utf8'), { version: '1.1' }) ?? {});
  } catch (error) {
    throw new Fatal(`ValueError: ${file}: ${error instanceof Error ? error.message : String(error)}`, {
      traceback: true,
    });
  }
}
