// A load generator on a general HTTP client with kept connections and a parse for each chunk, as srtctl's own was before:
// `node general-client.mjs PORT STREAMS TOKENS REQUESTS` prints "<chunks> <CPU ms>" of the second half of the requests.
import { Pool } from 'undici';

const [port, streams, tokens, total] = process.argv.slice(2).map(Number);
const pool = new Pool(`http://127.0.0.1:${port}`, { connections: streams, pipelining: 1 });
let [sent, done, chunks, chunksBefore] = [0, 0, 0, 0];
let before = process.cpuUsage();
const gaps = [];

const exchange = (index) =>
  new Promise((resolve, reject) => {
    const decoder = new TextDecoder();
    let rest = '';
    let lastAt = 0;
    const handler = {
      onRequestStart() {},
      onResponseStart() {},
      onResponseData(_, bytes) {
        const now = performance.now();
        const text = rest + decoder.decode(bytes, { stream: true });
        let from = 0;
        for (let at = text.indexOf('\n\n'); at >= 0; at = text.indexOf('\n\n', from)) {
          const data = text.slice(from + 'data: '.length, at);
          from = at + 2;
          if (data === '[DONE]' || JSON.parse(data).choices.length === 0) continue;
          chunks++;
          gaps.push(now - lastAt);
          lastAt = now;
        }
        rest = text.slice(from);
      },
      onResponseEnd: resolve,
      onResponseError: (_, error) => reject(error),
    };
    const body = JSON.stringify({ prompt: [index, 2, 3], max_tokens: tokens, stream: true });
    pool.dispatch({ path: '/v1/completions', method: 'POST', body }, handler);
  });

async function stream() {
  while (sent < total) {
    await exchange(sent++);
    if (++done === Math.floor(total / 2)) {
      before = process.cpuUsage();
      chunksBefore = chunks;
    }
  }
}
await Promise.all(Array.from({ length: streams }, stream));
const { user, system } = process.cpuUsage(before);
console.log(`${chunks - chunksBefore} ${(user + system) / 1_000}`);
process.exit(0);
