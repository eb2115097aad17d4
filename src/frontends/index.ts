import { dynamo } from './dynamo.ts';
import type { FrontendProtocol } from './protocol.ts';
import { sglangRouter } from './sglang.ts';
import { trtllmServe } from './trtllm-serve.ts';
import { vllmDirect } from './vllm.ts';

const frontends: readonly FrontendProtocol[] = [dynamo, sglangRouter, trtllmServe, vllmDirect];

export const frontendFor = (type: string): FrontendProtocol | undefined =>
  frontends.find((frontend) => frontend.type === type);
