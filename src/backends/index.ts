import type { BackendProtocol } from './protocol.ts';
import { sglang } from './sglang.ts';
import { trtllm } from './trtllm.ts';

/** Every engine there is. A new one is its file here, and its shape of `backend` in recipe/. */
const backends: readonly BackendProtocol[] = [sglang, trtllm];

export const backendFor = (type: string): BackendProtocol | undefined =>
  backends.find((backend) => backend.type === type);
