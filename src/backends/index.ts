import { mocker } from './mocker.ts';
import type { BackendProtocol } from './protocol.ts';
import { sglang } from './sglang.ts';
import { trtllm } from './trtllm.ts';
import { vllm } from './vllm.ts';

/** Every engine there is. A new one is its file here, and its shape of `backend` in recipe/. */
const backends: readonly BackendProtocol[] = [sglang, trtllm, vllm, mocker];

export const backendFor = (type: string): BackendProtocol | undefined =>
  backends.find((backend) => backend.type === type);
