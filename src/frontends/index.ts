import { dynamo } from './dynamo.ts';
import type { FrontendProtocol } from './protocol.ts';
import { sglangRouter } from './sglang.ts';
import { trtllmServe } from './trtllm-serve.ts';

const frontends: readonly FrontendProtocol[] = [dynamo, sglangRouter, trtllmServe];

export const frontendFor = (type: string): FrontendProtocol | undefined =>
  frontends.find((frontend) => frontend.type === type);
