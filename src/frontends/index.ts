import { frontendSchemaOf } from '../recipe/schema/frontend.ts';
import { atomesh } from './atomesh.ts';
import type { FrontendProtocol } from './common/protocol.ts';
import { dynamo } from './dynamo/plan.ts';
import { llmd } from './llm-d/plan.ts';
import { none } from './none.ts';
import { sglRouter } from './sgl-router.ts';
import { sglangDirect } from './sglang-direct.ts';
import { sglangRouter } from './sglang-router.ts';
import { smg } from './smg.ts';
import { tilertRouter } from './tilert-router.ts';
import { trtllmServe } from './trtllm-serve.ts';
import { vllmDirect } from './vllm.ts';
import { vllmRouter } from './vllm-router.ts';

/** Every router. A new one is one line here, and its file. */
const frontends: readonly FrontendProtocol[] = [
  dynamo,
  sglangRouter,
  smg,
  sglRouter,
  vllmRouter,
  trtllmServe,
  vllmDirect,
  sglangDirect,
  none,
  atomesh,
  llmd,
  tilertRouter,
];

/** Routers that a recipe may name. */
export const frontendTypes: readonly string[] = frontends.map(({ type }) => type);

export const frontendSchema = frontendSchemaOf(frontends);

export const frontendFor = (type: string): FrontendProtocol | undefined =>
  frontends.find((frontend) => frontend.type === type);
