import type { BackendProtocol } from './common/protocol.ts';
import { mocker } from './mocker/plan.ts';
import { sglang } from './sglang/plan.ts';
import { trtllm } from './trtllm/plan.ts';
import { vllm } from './vllm/plan.ts';

/** Every engine there is. A new one is its file here, and its shape of `backend` in recipe/. */
const backends: readonly BackendProtocol[] = [sglang, trtllm, vllm, mocker];

export const backendFor = (type: string): BackendProtocol | undefined =>
  backends.find((backend) => backend.type === type);
