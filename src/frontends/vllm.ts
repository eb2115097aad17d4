import { directServer } from './common/direct.ts';

export const vllmDirect = directServer({
  type: 'vllm',
  takesTokenIds: true,
  others: 'a dynamo frontend',
});
