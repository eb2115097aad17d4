import { directServer } from './common/direct.ts';

export const sglangDirect = directServer({
  type: 'sglang',
  takesTokenIds: true,
  others: 'sglang-router or a dynamo frontend',
});
