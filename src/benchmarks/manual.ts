import type { BenchmarkProtocol } from './protocol.ts';

/** No benchmark: the deployment stays up until somebody stops the job. */
export const manual: BenchmarkProtocol = {
  type: 'manual',
  plan: ({ pointDir }) => ({ type: 'manual', process: null, resultDir: pointDir }),
  readResult: async () => ({ type: 'manual', valid: true, serving: [], artifacts: [] }),
};
