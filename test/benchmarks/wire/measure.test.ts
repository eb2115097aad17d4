import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync, createGzip, deflateSync, gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import type { Measured } from '../../../src/benchmarks/loadgen/figures/measured.ts';
import { clientOf } from '../../../src/benchmarks/loadgen/request/client-of.ts';
import { measureRequest, outgoing } from '../../../src/benchmarks/loadgen/request/request.ts';
import type { WireClient } from '../../../src/benchmarks/loadgen/wire/client.ts';
import { createServerCertificate } from '../../../src/coordinator/bus-server/certificates.ts';
import { type Answering, type RawServer, rawServer } from './raw-server.ts';

let server: RawServer | undefined;
let client: WireClient | undefined;
afterEach(async () => {
  client?.close('over');
  await server?.close();
});

type Config = Parameters<typeof clientOf>[0] & Parameters<typeof outgoing>[0];
const CONFIG: Config = {
  ...{ url: '', caFile: null, reuseConnections: false, clientThreads: null, headers: {}, apiKeyEnv: null },
  ...{ endpoint: '/v1/completions', extraBody: {}, requestTimeoutMs: 30_000 },
};

/** Sends one request, or several one after the other. */
async function ask(answer: Answering, over: Partial<Config> & { times?: number } = {}) {
  server = await rawServer(answer);
  const { times = 1, ...rest } = over;
  const config = { ...CONFIG, url: `http://127.0.0.1:${server.port}`, ...rest };
  client = await clientOf(config);
  const prompt = { content: [1, 2], inputTokens: 2, outputTokens: 3 };
  const all: Measured[] = [];
  for (let index = 0; index < times; index++)
    all.push(await measureRequest(client, outgoing(config, 'served', prompt, { index })));
  return all;
}

const chunk = (content: object): string => `data: ${JSON.stringify(content)}\n\n`;
const TOKENS = ['a', 'é', 'c']
  .map((text) => chunk({ model: 'served', choices: [{ index: 0, text }] }))
  .join('');
const USAGE = chunk({ choices: [], usage: { prompt_tokens: 2, completion_tokens: 3 } });
const STREAM = `${TOKENS}${USAGE}data: [DONE]\n\n`;
const HEAD = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n';
const chunked = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
const GAP_MS = 20;
const START = `${HEAD}Transfer-Encoding: chunked\r\n\r\n`;
const END = '0\r\n\r\n';
const WHOLE = `${START}${chunked(STREAM)}${END}`;
const sized = (body: string | Buffer, head = 'HTTP/1.1 200 OK\r\n') =>
  Buffer.concat([
    Buffer.from(`${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n`),
    Buffer.from(body),
  ]);

const packed = (encoding: string, bytes: Buffer): Buffer =>
  sized(bytes, `${HEAD}Content-Encoding: ${encoding}\r\n`);

/** Writes byte by byte, each when the one before has left. */
const drip = (socket: Socket, bytes: Buffer, at = 0): void => {
  if (at < bytes.length) socket.write(bytes.subarray(at, at + 1), () => drip(socket, bytes, at + 1));
};

describe('a measured request', () => {
  it.each<[string, Answering]>([
    ['chunks, then a close', (socket) => socket.end(WHOLE)],
    ['chunks, the connection left open', (socket) => socket.write(WHOLE)],
    ['a length', (socket) => socket.write(sized(STREAM, HEAD))],
    ['no length but the connection’s end', (socket) => socket.end(`${HEAD}\r\n${STREAM}`)],
    ['[DONE], and no end of the body', (socket) => socket.write(START + chunked(STREAM))],
    ['100 Continue before it', (socket) => socket.write(`HTTP/1.1 100 Continue\r\n\r\n${WHOLE}`)],
    ['trailers', (socket) => socket.write(`${START}${chunked(STREAM)}0\r\nX: y\r\n\r\n`)],
    [
      'lines that end with CRLF',
      (socket) => socket.write(START + chunked(STREAM.replaceAll('\n', '\r\n')) + END),
    ],
    [
      'comments between its chunks',
      (socket) => socket.write(START + chunked(STREAM.replaceAll('data', ': ping\n\ndata')) + END),
    ],
    ['each byte in a packet of its own', (socket) => drip(socket, Buffer.from(WHOLE))],
    ['gzip', (socket) => socket.end(packed('gzip', gzipSync(STREAM)))],
    ['deflate', (socket) => socket.end(packed('deflate', deflateSync(STREAM)))],
    ['brotli', (socket) => socket.end(packed('br', brotliCompressSync(STREAM)))],
    ['gzip, each byte in a packet of its own', (socket) => drip(socket, packed('gzip', gzipSync(STREAM)))],
    [
      'gzip, and no end of the body',
      (socket) => {
        const bytes = gzipSync(STREAM).toString('latin1');
        const head = `${HEAD}Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n`;
        socket.write(`${head}${bytes.length.toString(16)}\r\n${bytes}\r\n`, 'latin1');
      },
    ],
    ['the identity coding', (socket) => socket.write(sized(STREAM, `${HEAD}Content-Encoding: identity\r\n`))],
  ])('is counted when its answer has %s', async (_, answer) => {
    const [one] = await ask(answer);
    expect(one).toMatchObject({
      ...{ error: null, status: 200, chunks: 3, inputTokens: 2, outputTokens: 3, model: 'served' },
      answerBytes: expect.any(Number),
    });
    expect(one?.startedAt).toBeGreaterThanOrEqual(one?.intendedAt ?? Number.NaN);
    expect(one?.firstAt).toBeGreaterThanOrEqual(one?.startedAt ?? Number.NaN);
    expect(one?.endedAt).toBe(one?.lastAt);
  });

  it('has the time of each read where its answer is compressed', async () => {
    const pieces = [0, 1, 2].map((at) => chunk({ model: 'served', choices: [{ index: 0, text: `t${at}` }] }));
    let next: () => void = () => undefined;
    server = await rawServer((socket) => {
      const gzip = createGzip();
      socket.write(`${HEAD}Content-Encoding: gzip\r\n\r\n`);
      gzip.on('data', (bytes: Buffer) => socket.write(bytes));
      gzip.on('end', () => socket.end());
      next = () => {
        const piece = pieces.shift();
        if (piece === undefined) return void gzip.end(`${USAGE}data: [DONE]\n\n`);
        gzip.write(piece);
        gzip.flush();
      };
      next();
    });
    const config = { ...CONFIG, url: `http://127.0.0.1:${server.port}` };
    client = await clientOf(config);
    const prompt = { content: [1, 2], inputTokens: 2, outputTokens: 3 };
    // Each piece leaves some time after the one before was read.
    const one = await measureRequest(client, outgoing(config, 'served', prompt), () =>
      setTimeout(next, GAP_MS),
    );
    expect(one).toMatchObject({ error: null, chunks: 3, outputTokens: 3 });
    expect(Array.from(one.gapsMs)).toHaveLength(2);
    for (const gap of one.gapsMs) expect(gap).toBeGreaterThanOrEqual(GAP_MS - 1);
  });

  it.each<[string, Answering, RegExp, number]>([
    [
      'a refusal',
      (socket) => socket.end('HTTP/1.1 503 Busy\r\n\r\nno\n workers'),
      /^HTTP 503: no workers$/,
      503,
    ],
    ['no head', (socket) => socket.destroy(), /^the server closed the connection before it answered$/, 0],
    [
      'a reset before the head',
      (socket) => socket.resetAndDestroy(),
      /^ECONNRESET: the server reset the connection before it answered$/,
      0,
    ],
    [
      'half a stream',
      (socket) => socket.end(START + chunked(TOKENS)),
      /^the server closed the connection in the middle of the answer$/,
      200,
    ],
    [
      'no [DONE]',
      (socket) => socket.end(START + chunked(TOKENS) + END),
      /^the stream ended without \[DONE\]$/,
      200,
    ],
    ['no token', (socket) => socket.write(sized('data: [DONE]\n\n')), /^no token arrived$/, 200],
    [
      'too few tokens',
      (socket) => socket.write(sized(STREAM.replace('"completion_tokens":3', '"completion_tokens":2'))),
      /^only 2 of the 3 requested output tokens arrived$/,
      200,
    ],
    [
      'an encoding that cannot be read',
      (socket) => socket.end(packed('zstd', Buffer.from(STREAM))),
      /^the answer has an encoding that cannot be read here \(zstd\), and was not accepted$/,
      200,
    ],
    [
      'a broken encoding',
      (socket) => socket.end(packed('gzip', Buffer.from(STREAM))),
      /^the gzip encoding of the answer is broken: incorrect header check$/,
      200,
    ],
    [
      'half of an encoded body',
      (socket) => socket.end(packed('gzip', gzipSync(STREAM).subarray(0, -12))),
      /^the (gzip encoding of the answer is broken: unexpected end of file|stream ended without \[DONE\])$/,
      200,
    ],
    [
      'an error as JSON',
      (socket) => socket.end(sized('{"error":{"message":"KV cache is full"}}')),
      /^KV cache is full$/,
      200,
    ],
    [
      'one document of JSON',
      (socket) => socket.end(sized('{"choices":[{"text":"abc"}]}')),
      /^the answer is no stream of events: \{"choices"/,
      200,
    ],
    [
      'an error in the stream, and a close',
      (socket) => socket.end(START + chunked(`${TOKENS}event: error\n: KV transfer failed\n\n`)),
      /^the stream has an error event: KV transfer failed$/,
      200,
    ],
    [
      'another protocol',
      (socket) => socket.end('220 smtp\r\n'),
      /^the server does not speak HTTP\/1.1: "220 smtp"$/,
      0,
    ],
    ['broken chunks', (socket) => socket.end(`${START}hello`), /^a chunk of the answer has no length$/, 200],
  ])('has failed when its answer has %s', async (_, answer, error, status) => {
    const [one] = await ask(answer);
    expect(one).toMatchObject({ error: expect.stringMatching(error), status });
  });

  it('has failed when nothing listens', async () => {
    const unused = await rawServer(() => undefined);
    await unused.close();
    const [one] = await ask(() => undefined, { url: `http://127.0.0.1:${unused.port}` });
    expect(one?.error).toBe('ECONNREFUSED: connection refused: no server listens there');
  });

  it('has failed after its limit', async () => {
    const [one] = await ask(() => undefined, { requestTimeoutMs: 50 });
    expect(one).toMatchObject({ error: 'no end after 0.05 s', status: 0, chunks: 0 });
  });

  it('ends when the client is closed', async () => {
    const [one] = await ask(() => client?.close('stopped'));
    expect(one?.error).toBe('stopped');
  });

  it('waits once for the end of a body that a server leaves open', async () => {
    const all = await ask((socket) => socket.write(START + chunked(STREAM)), { times: 3 });
    expect(all.map(({ error }) => error)).toEqual([null, null, null]);
    expect(server?.connections).toBe(3);
  });

  it('has a connection of its own, and says so to the server', async () => {
    await ask((socket) => socket.write(WHOLE), { times: 3 });
    expect(server?.connections).toBe(3);
    expect(server?.requests[0]).toContain('\r\nconnection: close\r\n');
  });

  it('takes a kept connection when it may, and a new one when the server closes', async () => {
    const all = await ask((socket) => socket.write(WHOLE), { times: 4, reuseConnections: true });
    expect(server?.connections).toBe(1);
    expect(all.map(({ error, connectMs }) => [error, connectMs > 0])).toEqual([
      [null, true],
      ...Array(3).fill([null, false]),
    ]);
    await server?.close();
    const closing = START.replace('\r\n', '\r\nConnection: close\r\n');
    await ask((socket) => socket.end(closing + chunked(STREAM) + END), { times: 3, reuseConnections: true });
    expect(server?.connections).toBe(3);
  });

  it('carries headers, a key from the environment and further members of the body', async () => {
    process.env.SRTCTL_TEST_KEY = 'secret';
    try {
      const over = {
        apiKeyEnv: 'SRTCTL_TEST_KEY',
        headers: { 'X-Team': 'a b' },
        extraBody: { top_k: 1, stream: false },
      };
      await ask((socket) => socket.write(WHOLE), over);
    } finally {
      delete process.env.SRTCTL_TEST_KEY;
    }
    const [head = '', body = ''] = server?.requests[0]?.split('\r\n\r\n') ?? [];
    expect(head).toMatch(/^POST \/v1\/completions HTTP\/1.1\r\nhost: 127.0.0.1:\d+\r\n/);
    expect(head).toContain('\r\nauthorization: Bearer secret');
    expect(head).toContain('\r\nX-Team: a b');
    expect(JSON.parse(body)).toMatchObject({ top_k: 1, stream: true, max_tokens: 3, prompt: [1, 2] });
  });

  it('is not sent without the key that it needs, or with a header that is none', async () => {
    const over = { apiKeyEnv: 'SRTCTL_TEST_UNSET' };
    await expect(ask(() => undefined, over)).rejects.toThrow('the variable SRTCTL_TEST_UNSET, which');
    await expect(ask(() => undefined, { headers: { 'a b': 'c' } })).rejects.toThrow('"a b" is no name');
    await expect(ask(() => undefined, { headers: { a: 'c\r\nd: e' } })).rejects.toThrow('HTTP header a has');
  });
});

describe('a request over TLS', () => {
  it('trusts the given authority, and no unknown one', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'srtctl-test-'));
    const ca = join(dir, 'ca.pem');
    const made = await createServerCertificate(['127.0.0.1']);
    writeFileSync(ca, made.ca);
    const secure = await rawServer((socket) => socket.write(WHOLE), {
      key: made.key,
      cert: made.cert,
    });
    const url = `https://127.0.0.1:${secure.port}`;
    try {
      const [trusted] = await ask(() => undefined, { url, caFile: ca });
      expect(trusted).toMatchObject({ error: null, chunks: 3 });
      const [kept] = await ask(() => undefined, {
        url,
        caFile: ca,
        reuseConnections: true,
      });
      expect(kept).toMatchObject({ error: null, chunks: 3 });
      const [unknown] = await ask(() => undefined, { url });
      expect(unknown?.error).toMatch(/UNABLE_TO_VERIFY_LEAF_SIGNATURE|UNABLE_TO_GET_ISSUER/);
    } finally {
      await secure.close();
      rmSync(dir, { recursive: true });
    }
  });
});
