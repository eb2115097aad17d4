import * as z from 'zod';

export const dynamoSchema = z
  .strictObject({
    install: z.boolean().default(true).describe('install Dynamo in the container before the workers start'),
    version: z.string().nullish().describe('release to install from PyPI'),
    hash: z.string().nullish().describe('commit to build and install'),
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
      .describe('whether the engine runs in the Dynamo worker or beside it; srtctl plans embedded alone'),
  })
  .refine(
    ({ hash, top_of_tree, wheel }) => [hash != null, top_of_tree, wheel != null].filter(Boolean).length <= 1,
    'name one source of Dynamo: hash, top_of_tree or wheel',
  )
  .prefault({});
