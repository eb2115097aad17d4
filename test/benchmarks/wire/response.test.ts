import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ResponseHead, ResponseReader } from '../../../src/benchmarks/loadgen/wire/response.ts';

/** What a reader makes of the bytes, when they come in pieces and the connection then ends. */
function read(text: string | Uint8Array, cuts: readonly number[] = []) {
  const bytes = typeof text === 'string' ? Buffer.from(text, 'latin1') : Buffer.from(text);
  const heads: ResponseHead[] = [];
  let body = '';
  const reader = new ResponseReader({
    onHead: (head) => heads.push(head),
    onBody: (piece, from, to) => {
      body += piece.toString('latin1', from, to);
    },
  });
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  let from = 0;
  let used = 0;
  for (const to of [...places, bytes.length]) {
    if (reader.isDone || reader.fault !== null) break;
    used = reader.read(bytes, from, to);
    from = to;
  }
  const wasDone = reader.isDone;
  const { status, keepsOpen } = heads[0] ?? {};
  return {
    status,
    keepsOpen,
    body,
    wasDone,
    isWhole: reader.end(),
    fault: reader.fault,
    left: bytes.length - used,
  };
}

const OK = 'HTTP/1.1 200 OK\r\n';
const CHUNKED = `${OK}Transfer-Encoding: chunked\r\n\r\n`;

const good: [string, string, object][] = [
  [
    'a given length',
    `${OK}Content-Length: 5\r\n\r\nhello`,
    { body: 'hello', wasDone: true, keepsOpen: true },
  ],
  ['no body', `${OK}content-length:0\r\n\r\n`, { body: '', wasDone: true }],
  ['the status 204', 'HTTP/1.1 204 No Content\r\n\r\n', { body: '', wasDone: true, status: 204 }],
  [
    'chunks',
    `${CHUNKED}5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n`,
    { body: 'hello0123456789', wasDone: true },
  ],
  ['chunk extensions', `${CHUNKED}5;a=b\r\nhello\r\n0 ;c\r\n\r\n`, { body: 'hello', wasDone: true }],
  [
    'trailers',
    `${CHUNKED}5\r\nhello\r\n0\r\nX-Time: 3\r\nX-More: 4\r\n\r\n`,
    { body: 'hello', wasDone: true },
  ],
  [
    'the connection’s end',
    `${OK}\r\nhello`,
    { body: 'hello', wasDone: false, isWhole: true, keepsOpen: false },
  ],
  [
    '100 Continue before it',
    `HTTP/1.1 100 Continue\r\n\r\n${OK}content-length: 2\r\n\r\nok`,
    { body: 'ok', status: 200 },
  ],
  [
    'hints before it',
    `HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${OK}content-length: 2\r\n\r\nok`,
    { body: 'ok' },
  ],
  ['bare line feeds', 'HTTP/1.1 200 OK\ncontent-length: 2\n\nok', { body: 'ok', wasDone: true }],
  [
    'the same length twice',
    `${OK}content-length: 2\r\nContent-Length: 2\r\n\r\nok`,
    { body: 'ok', wasDone: true },
  ],
  [
    'a length and chunks',
    `${OK}content-length: 9\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n`,
    { body: 'x' },
  ],
  [
    'Connection: close',
    `${OK}Connection: close\r\nContent-Length: 0\r\n\r\n`,
    { keepsOpen: false, wasDone: true },
  ],
  ['HTTP/1.0', 'HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok', { body: 'ok', keepsOpen: false }],
  ['no reason phrase', 'HTTP/1.1 503\r\ncontent-length: 2\r\n\r\nno', { body: 'no', status: 503 }],
];

describe('an answer over HTTP/1.1', () => {
  it.each(good)('with %s is read, wherever it is cut', (_, text, expected) => {
    expect(read(text)).toMatchObject({ isWhole: true, fault: null, left: 0, ...expected });
    fc.assert(
      fc.property(fc.array(fc.nat()), (cuts) => {
        expect({ ...read(text, cuts), left: 0 }).toEqual(read(text));
      }),
      { numRuns: 50 },
    );
  });

  it.each<[string, string, RegExp]>([
    ['another protocol', 'SSH-2.0-OpenSSH\r\n', /^the server does not speak HTTP\/1.1: "SSH-2.0-OpenSSH"$/],
    ['HTTP/2', 'HTTP/2 200\r\n', /does not speak HTTP\/1.1/],
    ['an upgrade', 'HTTP/1.1 101 Switching Protocols\r\n\r\n', /another protocol/],
    ['a chunk without a length', `${CHUNKED}\r\nhello`, /a chunk of the answer has no length/],
    ['a chunk whose length is no number', `${CHUNKED}5x\r\nhello`, /a chunk of the answer has no length/],
    ['a chunk of an impossible length', `${CHUNKED}${'f'.repeat(20)}\r\n`, /impossible length/],
    ['a chunk that goes on after its length', `${CHUNKED}2\r\nhello\r\n`, /is longer than its length/],
    [
      'two lengths',
      `${OK}content-length: 2\r\ncontent-length: 3\r\n\r\nok`,
      /the answer has the length "2, 3"/,
    ],
    ['a length that is no number', `${OK}content-length: -1\r\n\r\n`, /the answer has the length "-1"/],
    [
      'another transfer coding',
      `${OK}transfer-encoding: gzip, chunked\r\n\r\n`,
      /transfer coding "gzip, chunked"/,
    ],
    ['an endless head', `${OK}${'x: y\r\n'.repeat(20_000)}`, /more than 65536 bytes/],
  ])('with %s is refused in words', (_, text, fault) => {
    expect(read(text).fault).toMatch(fault);
    expect(read(text, [3, 17, 40, 90]).fault).toMatch(fault);
  });

  it('that is cut off is not whole', () => {
    for (const text of [
      '',
      OK,
      `${OK}content-length: 9\r\n\r\nhello`,
      `${CHUNKED}5\r\nhello\r\n`,
      `${CHUNKED}0\r\n`,
    ])
      expect(read(text)).toMatchObject({ isWhole: false, fault: null });
  });

  it('ends where it ends: what follows is left', () => {
    expect(read(`${OK}content-length: 2\r\n\r\nokHTTP/1.1`)).toMatchObject({ body: 'ok', left: 8 });
  });

  it('of any bytes neither throws nor loops', () => {
    const parts = fc.oneof(
      fc.constantFrom(
        OK,
        CHUNKED,
        '\r\n',
        '0\r\n',
        '5\r\nhello',
        'content-length: 3\r\n',
        'HTTP/1.1 100 x\r\n\r\n',
      ),
      fc.string({ unit: 'binary' }),
    );
    fc.assert(
      fc.property(fc.array(parts), fc.array(fc.nat()), (pieces, cuts) => {
        const text = Buffer.from(pieces.join(''));
        const [whole, cut] = [read(text), read(text, cuts)];
        expect({ ...cut, left: 0 }).toEqual({ ...whole, left: 0 });
      }),
      { numRuns: 500 },
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void read(bytes)));
  });
});
