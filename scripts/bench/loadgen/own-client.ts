// srtctl's own reading of streams: arguments and output as those of general-client.mjs, and with a fifth argument `log` then
// a line of JSON: `[index, started, first, last, gaps…]` of each request, in ms of the clock of process.hrtime.
import { clientOf } from '../../../src/benchmarks/loadgen/request/client-of.ts';
import { measureRequest, outgoing } from '../../../src/benchmarks/loadgen/request/request.ts';
import { clockOrigin } from '../../../src/benchmarks/loadgen/threads/messages.ts';

const [port = 0, streams = 1, tokens = 1, total = 1] = process.argv.slice(2, 6).map(Number);
const isLogged = process.argv[6] === 'log';
const config = {
  ...{ url: `http://127.0.0.1:${port}`, caFile: null, reuseConnections: false, headers: {}, apiKeyEnv: null },
  ...{ endpoint: '/v1/completions' as const, extraBody: {}, requestTimeoutMs: 60_000 },
};

async function main(): Promise<void> {
  const client = await clientOf(config);
  const origin = clockOrigin();
  const all: number[][] = [];
  let [sent, done, chunks, chunksBefore] = [0, 0, 0, 0];
  let before = process.cpuUsage();
  const stream = async (): Promise<void> => {
    while (sent < total) {
      const prompt = { content: [sent, 2, 3], inputTokens: 3, outputTokens: tokens };
      const one = await measureRequest(client, outgoing(config, 'served', prompt, { index: sent++ }));
      if (one.error !== null || one.outputTokens !== tokens) throw new Error(one.error ?? 'a wrong count');
      chunks += one.chunks;
      if (isLogged)
        all.push([
          one.index,
          one.startedAt + origin,
          one.firstAt + origin,
          one.lastAt + origin,
          ...one.gapsMs,
        ]);
      if (++done !== Math.floor(total / 2)) continue;
      before = process.cpuUsage();
      chunksBefore = chunks;
    }
  };
  await Promise.all(Array.from({ length: streams }, stream));
  const { user, system } = process.cpuUsage(before);
  console.log(`${chunks - chunksBefore} ${(user + system) / 1_000}`);
  if (isLogged) console.log(JSON.stringify(all));
  client.close('over');
}
void main();
