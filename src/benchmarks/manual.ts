import type { BenchmarkProtocol } from './common/protocol.ts';

/** No benchmark: the deployment stays up until the user stops the job, which is the point's regular end. */
export const manual: BenchmarkProtocol = {
  type: 'manual',
  uses: [],
  plan: ({ recipe, runtime, entry, pointDir }) => ({
    type: 'manual',
    process: null,
    resultDir: pointDir,
    ...(recipe.frontend.type === 'none'
      ? {}
      : {
          serves: {
            node: entry.node,
            host: runtime.address(entry.node),
            port: entry.port,
            model: entry.model.name,
          },
        }),
  }),
  readResult: async () => ({ type: 'manual', valid: null, serving: [], artifacts: [] }),
};
