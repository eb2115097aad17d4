import { type Agent, request } from 'node:http';

/** Sends streaming requests one after another; resolves with the time to the first token of each, in ms. */
export async function firstTokens(url: string, body: object, agent: Agent, count: number): Promise<number[]> {
  const text = JSON.stringify({ ...body, stream: true });
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
  const times: number[] = [];
  for (let sent = 0; sent < count; sent++)
    times.push(
      await new Promise<number>((resolve, reject) => {
        const begin = performance.now();
        let first: number | undefined;
        const outgoing = request(url, { method: 'POST', agent, headers }, (incoming) => {
          incoming.on('data', (bytes: Buffer) => {
            if (bytes.includes('"text":"')) first ??= performance.now() - begin;
          });
          incoming.once('error', reject);
          incoming.once('end', () =>
            first === undefined ? reject(new Error(`${url} answers without a token`)) : resolve(first),
          );
        });
        outgoing.once('error', reject);
        outgoing.end(text);
      }),
    );
  return times;
}
