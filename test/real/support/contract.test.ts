import { createServer, type RequestListener, type Server } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { contract, type Side } from './contract.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function side(listener: RequestListener): Promise<Side> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return { url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}` };
}

const json =
  (body: unknown, status = 200, headers: Record<string, string> = {}): RequestListener =>
  (_, response) =>
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
const stream =
  (text: string): RequestListener =>
  (_, response) =>
    response.writeHead(200, { 'content-type': 'text/event-stream' }).end(text);

const compared = async (real: RequestListener, standIn: RequestListener, ...rest: ContractRest) =>
  contract({ real: await side(real), standIn: await side(standIn) }, ...rest);
type ContractRest = [Parameters<typeof contract<Side>>[1], Parameters<typeof contract<Side>>[2]?];

const models = { name: 'models', path: '/v1/models' };

describe('a contract', () => {
  it('holds for the same shape with other values', async () => {
    const one = json({
      data: [
        { id: 'a', n: 1 },
        { id: 'b', n: 2 },
      ],
      when: null,
    });
    const other = json({ data: [{ id: 'c', n: 3 }], when: null });
    expect(await compared(one, other, [models])).toEqual([]);
  });

  it('names the innermost place that differs in status, headers and body', async () => {
    const one = json({ data: [{ id: 'a' }] }, 503, { 'retry-after': '1' });
    const other = json({ data: [{ id: 7 }], more: true });
    expect(await compared(one, other, [models])).toEqual([
      'models: status: real 503, stand-in 200',
      'models: headers.retry-after: real 1, stand-in absent',
      'models: body.data[].id: real string, stand-in number',
      'models: body.more: real absent, stand-in boolean',
    ]);
  });

  it('compares the selected values, and ignores the names of keys that are data', async () => {
    const one = json({ object: 'list', byId: { a1: { up: true }, a2: { up: true } } });
    const other = json({ object: 'lists', byId: { b1: { up: true } } });
    const step = { ...models, values: ['object'], keyed: ['byId'] };
    expect(await compared(one, other, [step])).toEqual([
      'models: body.object: real "list", stand-in "lists"',
    ]);
  });

  it('compares the frames of a stream, however many chunks it has', async () => {
    const chunk = (text: string) => `data: ${JSON.stringify({ text })}\n\n`;
    const one = stream(`${chunk('a')}${chunk('b')}data: [DONE]\n\n`);
    expect(await compared(one, stream(`${chunk('a')}data: [DONE]\n\n`), [models])).toEqual([]);
    const [line] = await compared(one, stream(`: alive\n\n${chunk('a')}event: error\ndata: x\n\n`), [models]);
    expect(line).toBe(
      'models: body: real ["LF","data: {\\"text\\":\\"string\\"}","data: [DONE]","complete"], ' +
        'stand-in ["LF","comment with text","data: {\\"text\\":\\"string\\"}","event: error | data: text","complete"]',
    );
  });

  it('takes a refused connection for an answer', async () => {
    const [real, standIn] = [await side(json({})), await side(json({}))];
    const act = ({ url }: Side) =>
      url === real.url ? new Promise((resolve) => servers[0]?.close(resolve)) : Promise.resolve();
    const steps = [{ name: 'it ends', act }, models];
    expect(await contract({ real, standIn }, steps)).toContain(
      'models: status: real ECONNREFUSED, stand-in 200',
    );
  });

  it('repeats a request until its answer is as expected', async () => {
    let asked = 0;
    const later: RequestListener = (...each) => json({}, ++asked > 3 ? 200 : 503)(...each);
    const step = { ...models, until: ({ status }: { status: unknown }) => status === 200 };
    expect(await compared(later, json({}), [step])).toEqual([]);
    expect(asked).toBe(4);
  });

  it('accepts a known difference, and fails for one that does not occur', async () => {
    const known = [
      { step: 'models', at: 'body.data', reason: 'ids are numbers' },
      { step: /^mod/, at: 'status', reason: 'it was 404 once' },
    ];
    const lines = await compared(json({ data: [{ id: 'a' }] }), json({ data: [{ id: 7 }] }), [models], known);
    expect(lines).toEqual(['/^mod/: status is listed as different and is not (it was 404 once)']);
  });

  it('reports times that differ in magnitude', async () => {
    const slow: RequestListener = (request, response) =>
      void setTimeout(() => json({})(request, response), 900);
    const [line] = await compared(slow, json({}), [models]);
    expect(line).toMatch(/^models: time: real \d+ ms, stand-in \d+ ms$/);
    expect(await compared(slow, json({}), [{ ...models, timing: false }])).toEqual([]);
  });
});
