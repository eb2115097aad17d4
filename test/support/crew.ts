import { watchClient } from '../../src/benchmarks/loadgen/figures/client-watch.ts';
import { clientOf } from '../../src/benchmarks/loadgen/request/client-of.ts';
import { measureRequest } from '../../src/benchmarks/loadgen/request/request.ts';
import type { StartCrew } from '../../src/benchmarks/loadgen/threads/crew.ts';

/** A crew of this thread alone, because threads run the built program. */
export const crewOfThisThread: StartCrew = async (config) => {
  const client = await clientOf(config);
  let chunks = 0;
  let watch: ReturnType<typeof watchClient> | undefined;
  const end = () => {
    client.close('over');
    return Promise.resolve(watch ? [watch.end()] : []);
  };
  let ending: ReturnType<typeof end> | undefined;
  return {
    threads: 1,
    measure: (request) => measureRequest(client, request, () => void chunks++),
    chunks: () => chunks,
    watch() {
      watch = watchClient();
    },
    stop: (reason) => client.close(reason),
    end() {
      ending ??= end();
      return ending;
    },
  };
};
