import * as z from 'zod';
import { atom } from './atom.ts';
import type { BackendProtocol } from './common/protocol.ts';
import { mocker } from './mocker/plan.ts';
import { sglang } from './sglang/plan.ts';
import { tilert } from './tilert.ts';
import { tokenspeed } from './tokenspeed.ts';
import { trtllm } from './trtllm/plan.ts';
import { vllm } from './vllm/plan.ts';

/** Every engine. A new one is one line here, and its file. The first one is the default. */
const engines = [sglang, trtllm, vllm, atom, tilert, tokenspeed, mocker] as const;

const [preset, ...others] = engines;

/** `backend` of a recipe or of one of its roles: each engine has its own schema. */
export const engineSchema = z.discriminatedUnion('type', [
  preset.schema,
  ...others.map(({ schema }) => schema),
]);

export const backendSchema = engineSchema.prefault({});

/** The schema of `backend` of each engine, by its type. */
export const engineSchemas: readonly { readonly type: string; readonly schema: z.ZodObject }[] = engines;

const all: readonly BackendProtocol[] = engines;

/** Engines that a recipe may name. */
export const backendTypes: readonly string[] = all.map(({ type }) => type);

export const numberMaps: readonly string[] = all.flatMap((engine) => engine.numberMaps ?? []);

export const backendFor = (type: string): BackendProtocol | undefined =>
  all.find((backend) => backend.type === type);
