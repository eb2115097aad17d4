import * as z from 'zod';
import { positiveSchema } from '../values/values.ts';

export const dynamoSchema = z
  .strictObject({
    install: z.boolean().default(true).describe('install Dynamo in the container before the workers start'),
    version: z.string().nullish().describe('release to install from PyPI'),
    hash: z.string().nullish().describe('commit, tag or refs/pull/N/head to build and install'),
    git: z.string().min(1).nullish().describe('repository of that commit; by default that of Dynamo'),
    top_of_tree: z.boolean().default(false).describe('build and install the newest commit'),
    wheel: z
      .string()
      .min(1)
      .regex(/^[^/]*$/, 'must be a version such as 1.2.0.dev20260426, not a file')
      .nullish()
      .describe('version to install from staged wheels'),
    cargo_patches: z.array(z.string()).nullish().describe('replacements of Rust dependencies for a build'),
    request_plane: z.enum(['tcp', 'nats', 'http']).default('tcp').describe('how requests reach the workers'),
    event_plane: z
      .string()
      .nullish()
      .describe('how KV cache events reach the routers; by default as Dynamo has it'),
    engine_mode: z
      .enum(['embedded', 'sidecar'])
      .default('embedded')
      .describe(
        'whether the engine runs in the Dynamo worker or beside it, with a sidecar of Dynamo in front',
      ),
    sidecar_port: z
      .number()
      .int()
      .min(1)
      .max(65_535)
      .nullish()
      .describe('first gRPC port of engines for their sidecars; by default 50051'),
    sidecar_binary: z.string().min(1).nullish().describe("program in place of Dynamo's own sidecar"),
    sidecar_startup_timeout: positiveSchema
      .nullish()
      .describe('seconds until an engine must take gRPC; by default 3600'),
    sidecar_context_length: positiveSchema
      .nullish()
      .describe('trtllm: context length in tokens; by default max_seq_len'),
    sidecar_args: z.array(z.string()).nullish().describe('further options of the sidecar'),
  })
  .refine(
    ({ hash, top_of_tree, wheel }) => [hash != null, top_of_tree, wheel != null].filter(Boolean).length <= 1,
    'name one source of Dynamo: hash, top_of_tree or wheel',
  )
  .prefault({});
