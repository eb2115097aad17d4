import type { BenchmarkProtocol } from './common/protocol.ts';

/** No benchmark: the deployment stays up until the user stops the job, which is the point's regular end. */
export const manual: BenchmarkProtocol = {
  type: 'manual',
  uses: [],
  plan: ({ pointDir }) => ({ type: 'manual', process: null, resultDir: pointDir }),
  readResult: async () => ({ type: 'manual', valid: null, serving: [], artifacts: [] }),
};
