import type { FrontendProtocol } from './common/protocol.ts';
import { dynamo } from './dynamo/plan.ts';
import { sglangRouter } from './sglang.ts';
import { smg } from './smg.ts';
import { trtllmServe } from './trtllm-serve.ts';
import { vllmDirect } from './vllm.ts';
import { vllmRouter } from './vllm-router.ts';

const frontends: readonly FrontendProtocol[] = [
  dynamo,
  sglangRouter,
  smg,
  vllmRouter,
  trtllmServe,
  vllmDirect,
];

export const frontendFor = (type: string): FrontendProtocol | undefined =>
  frontends.find((frontend) => frontend.type === type);
