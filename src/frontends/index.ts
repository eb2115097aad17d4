import { frontendSchemaOf } from '../recipe/schema/frontend.ts';
import type { FrontendProtocol } from './common/protocol.ts';
import { dynamo } from './dynamo/plan.ts';
import { sglangRouter } from './sglang.ts';
import { smg } from './smg.ts';
import { trtllmServe } from './trtllm-serve.ts';
import { vllmDirect } from './vllm.ts';
import { vllmRouter } from './vllm-router.ts';

/** Every router. A new one is one line here, and its file. */
const frontends: readonly FrontendProtocol[] = [
  dynamo,
  sglangRouter,
  smg,
  vllmRouter,
  trtllmServe,
  vllmDirect,
];

/** Routers that a recipe may name. */
export const frontendTypes: readonly string[] = frontends.map(({ type }) => type);

export const frontendSchema = frontendSchemaOf(frontends);

export const frontendFor = (type: string): FrontendProtocol | undefined =>
  frontends.find((frontend) => frontend.type === type);
