import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AnswerReader } from '../../src/benchmarks/loadgen/answer/answer.ts';
import { readChunk } from '../../src/benchmarks/loadgen/answer/chunk.ts';
import { KnownShape } from '../../src/benchmarks/loadgen/answer/known-shape.ts';

/** Reads a stream that is cut at the given places; the read that ends at byte n is at the time n. */
function answerOf(text: string | Uint8Array, cuts: readonly number[] = []) {
  const bytes = Buffer.from(text as string);
  const reader = new AnswerReader(() => undefined);
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  // One buffer for all reads, as a connection has: what is not copied is lost.
  const shared = Buffer.alloc(bytes.length);
  let from = 0;
  for (const to of [...places, bytes.length]) {
    shared.fill(0x22);
    bytes.copy(shared, 0, from, to);
    reader.read(shared, 0, to - from, 1_000 + to);
    from = to;
  }
  return reader.answer();
}

const event = (content: object, end = '\n'): string => `data: ${JSON.stringify(content)}${end}${end}`;
const token = (text: string, end = '\n'): string =>
  event({ id: 'cmpl-1', choices: [{ index: 0, text, finish_reason: null }], usage: null }, end);
const delta = (content: object, reason: string | null = null): string =>
  event({ choices: [{ index: 0, delta: content, finish_reason: reason }] });
const role = delta({ role: 'assistant', content: '' });
const last = (text: string): string => event({ choices: [{ index: 0, text, finish_reason: 'length' }] });
const usage = (tokens: number, more: object = {}): string =>
  event({ choices: [], usage: { prompt_tokens: 3, completion_tokens: tokens, ...more } });
const done = (end = '\n'): string => `data: [DONE]${end}${end}`;

describe('a streamed answer', () => {
  const ends = { LF: '\n', CRLF: '\r\n', CR: '\r' };
  it.each(Object.entries(ends))(
    'with keep-alives and lines that end with %s is the same wherever it is cut',
    (_, end) => {
      const keepAlive = `: ping${end}${end}`;
      const counts = event({ choices: [], usage: { prompt_tokens: 3, completion_tokens: 4 } }, end);
      // The comment at the end shows that the last event does not wait for the next one's bytes.
      const text = `${keepAlive}${token(' é', end)}${keepAlive}${token('語', end)}${token('"\\\n', end)}${token('😀', end)}${counts}${done(end)}${keepAlive}`;
      fc.assert(
        fc.property(fc.array(fc.nat()), (cuts) => {
          expect(answerOf(text, cuts)).toMatchObject({
            chunks: 4,
            finished: true,
            error: null,
            usage: { promptTokens: 3, completionTokens: 4, cachedTokens: null },
            bytes: Buffer.byteLength(text),
          });
        }),
      );
    },
  );

  it.each<[string, string, object]>([
    [
      'completions with tokens that decode to nothing',
      token('a') + token('') + token('') + token('b') + usage(4),
      { chunks: 4 },
    ],
    [
      'a last chunk that carries the last token, which decodes to nothing',
      token('a') + token('b') + last('') + usage(3),
      { chunks: 3, finishReason: 'length' },
    ],
    [
      'a last chunk that carries no token',
      token('a') + token('b') + last('') + usage(2),
      { chunks: 2, finishReason: 'length' },
    ],
    ['only tokens that decode to nothing', last('') + usage(1), { chunks: 1 }],
    ['chunks of several tokens', token('abc') + token('def') + last('g') + usage(9), { chunks: 3 }],
    [
      'several choices in a chunk, one of them empty',
      event({
        choices: [
          { index: 0, text: '' },
          { index: 1, text: 'x' },
        ],
      }) + usage(2),
      { chunks: 1 },
    ],
    ['content', role + delta({ content: 'hm' }) + delta({ content: 'a' }), { chunks: 2 }],
    ['reasoning', role + delta({ reasoning: 'hm' }) + delta({ content: 'a' }), { chunks: 2 }],
    [
      'reasoning_content',
      role + delta({ reasoning_content: 'hm' }) + delta({ content: 'a', reasoning_content: null }),
      { chunks: 2 },
    ],
    ['a refusal', role + delta({ refusal: 'I can’t' }), { chunks: 1 }],
    [
      'tool calls',
      role +
        delta({ tool_calls: [{ index: 0, function: { name: 'f' } }] }) +
        delta({ tool_calls: [{ index: 0, function: { arguments: '{' } }] }),
      { chunks: 2 },
    ],
    ['a role in each chunk', role + delta({ role: 'assistant', content: 'a' }) + role, { chunks: 2 }],
    [
      'a chat’s token that decodes to nothing',
      role + delta({ content: 'a' }) + delta({ content: '' }),
      { chunks: 2 },
    ],
    [
      'a chat’s end without content',
      role + delta({ content: 'a' }) + delta({}, 'stop') + usage(2),
      { chunks: 1 },
    ],
    [
      'a chat’s end with the last token, which decodes to nothing',
      role + delta({ content: 'a' }) + delta({ content: '' }, 'stop') + usage(2),
      { chunks: 2, finishReason: 'stop' },
    ],
    [
      'cached tokens and a model',
      event({ model: 'm', choices: [{ text: 'a' }] }) +
        usage(1, { prompt_tokens_details: { cached_tokens: 2 } }),
      { model: 'm', usage: { cachedTokens: 2 } },
    ],
    [
      'usage in each chunk',
      event({ choices: [{ text: 'a' }], usage: { completion_tokens: 1 } }),
      { chunks: 1 },
    ],
  ])('counts %s', (_, text, expected) => {
    expect(answerOf(text + done())).toMatchObject({ finished: true, error: null, ...expected });
  });

  it('lasts until the last choice, and not until usage', () => {
    const [first, second, end] = [token('a'), token('b'), last('')];
    const bounds = [first.length, first.length + second.length, first.length + second.length + end.length];
    expect(answerOf(first + second + end + usage(2) + done(), bounds)).toMatchObject({
      firstAt: 1_000 + first.length,
      gapsMs: [second.length],
      lastAt: 1_000 + first.length + second.length + end.length,
    });
    expect(answerOf(first + second + end + usage(3) + done(), bounds).gapsMs).toEqual([
      second.length,
      end.length,
    ]);
  });

  it.each<[string, string, RegExp]>([
    [
      'an error as an object',
      event({ error: { message: 'EngineCore stopped', code: 500 } }),
      /^EngineCore stopped$/,
    ],
    ['an error as a text', event({ error: 'no worker' }), /^no worker$/],
    ['an error without a message', event({ error: { code: 500 } }), /^\{"code":500\}$/],
    ['object: "error"', event({ object: 'error', message: 'KV transfer failed' }), /^KV transfer failed$/],
    ['an error event with a comment', 'event: error\n: KV 17\n\n', /^the stream has an error event: KV 17$/],
    ['an error event with data', 'event: error\ndata: KV 17\n\n', /^the stream has an error event: KV 17$/],
    ['an error event, CRLF', 'event: error\r\n: KV 17\r\n\r\n', /^the stream has an error event: KV 17$/],
    ['a chunk that is no JSON', 'data: {"choices":[{\n\n', /^unreadable chunk: \{"choices":\[\{$/],
  ])('with %s has failed, with its text', (_, text, words) => {
    for (const cut of [0, 7, 40, 200])
      expect(answerOf(token('a') + text + done(), [cut]).error).toMatch(words);
  });

  it.each<[string, string, RegExp]>([
    ['an error as JSON', '{"error":{"message":"busy"}}', /^busy$/],
    [
      'JSON of no stream',
      '{"choices":[{"text":"all of it"}]}',
      /^the answer is no stream of events: \{"choices"/,
    ],
    ['HTML', '<html>Bad gateway</html>', /^the answer is no stream of events: <html>/],
  ])('that is %s has failed', (_, text, words) => {
    expect(answerOf(text, [3]).error).toMatch(words);
  });

  it('reads any bytes, cut anywhere, to the same answer', () => {
    const pieces = fc.oneof(
      fc.constantFrom(token('a'), token(''), role, delta({ content: 'é' }), last(''), usage(2), done()),
      fc.constantFrom('data:', 'data: {"', '\n', '\r\n', '\r', ':', 'event: error', '"', '\\', '\u{feff}'),
      fc.string({ unit: 'binary' }),
    );
    fc.assert(
      fc.property(fc.array(pieces), fc.array(fc.nat()), (parts, cuts) => {
        const text = parts.join('');
        const { firstAt: _, lastAt: __, gapsMs, ...whole } = answerOf(text);
        const { firstAt: ___, lastAt: ____, gapsMs: cutGaps, ...cut } = answerOf(text, cuts);
        expect(cut).toEqual(whole);
        expect(cutGaps.length).toBe(gapsMs.length);
      }),
      { numRuns: 300 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.array(fc.nat()), (bytes, cuts) => {
        expect(answerOf(bytes, cuts).bytes).toBe(bytes.length);
      }),
    );
  });
});

describe('the shape of a stream’s chunks', () => {
  const chunks = fc.constantFrom(
    (text: string) => ({ id: 'x', choices: [{ index: 0, text, finish_reason: null }], model: 'm' }),
    (text: string) => ({ text: 'decoy', choices: [{ index: 0, text }] }),
    (content: string) => ({ choices: [{ delta: { content, role: null }, index: 0 }], usage: null }),
    (reasoning: string) => ({ choices: [{ delta: { content: null, reasoning } }] }),
  );

  it('is recognised in the next chunk', () => {
    const shape = new KnownShape();
    const data = (text: string) => JSON.stringify({ id: 'x', choices: [{ index: 0, text }] });
    shape.learn(data('a'));
    const bytes = Buffer.from(`data: ${data('"b\\')}\n\ndata: `);
    expect(shape.match(bytes, 0, bytes.length)).toBe(bytes.length - 'data: '.length);
  });

  it('is only recognised in what is the same chunk with another text', () => {
    fc.assert(
      fc.property(
        chunks,
        fc.string({ minLength: 1 }),
        fc.string({ unit: 'binary' }),
        fc.nat(),
        fc.option(fc.nat({ max: 255 })),
        (chunk, first, second, place, byte) => {
          const shape = new KnownShape();
          shape.learn(JSON.stringify(chunk(first)));
          const bytes = Buffer.from(`data: ${JSON.stringify(chunk(second))}\n\n`);
          if (byte !== null) bytes[place % bytes.length] = byte;
          const end = shape.match(bytes, 0, bytes.length);
          if (end < 0) return;
          const text = bytes.toString('utf8', 0, end);
          expect(text.endsWith('\n\n')).toBe(true);
          const read = readChunk(text.slice('data: '.length));
          const { text: value, delta: content } = read?.choices?.[0] ?? {};
          const found = value ?? content?.content ?? content?.reasoning;
          expect(read).toEqual(readChunk(JSON.stringify(chunk(String(found)))));
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it.each([
    ['ends the answer', { choices: [{ text: 'a', finish_reason: 'stop' }] }],
    ['has usage', { choices: [{ text: 'a' }], usage: { completion_tokens: 1 } }],
    ['has an error', { choices: [{ text: 'a' }], error: 'no' }],
  ])('is not learned from a chunk that %s', (_, chunk) => {
    const shape = new KnownShape();
    shape.learn(JSON.stringify(chunk));
    const bytes = Buffer.from(`data: ${JSON.stringify(chunk)}\n\n`);
    expect(shape.match(bytes, 0, bytes.length)).toBe(-1);
  });
});

describe('a stream whose chunks are recognised by their bytes', () => {
  const words = fc.oneof(
    fc.constantFrom('', ' a', '"', '\\', '\n', '\u{1f600}', 'é', '}],"usage":{', 'srtctl\u{fffe}', '\u0000'),
    fc.string({ unit: 'binary', maxLength: 12 }),
  );
  const id = fc.constantFrom('cmpl-1', 'cmpl-2', '');
  /** Chunks as engines send them, and what may stand between them. */
  const chunks = fc.oneof(
    {
      weight: 8,
      arbitrary: fc
        .record({ id, text: words })
        .map(({ id, text }) =>
          JSON.stringify({ id, choices: [{ index: 0, text, finish_reason: null }], usage: null }),
        ),
    },
    {
      weight: 4,
      arbitrary: words.map((content) => JSON.stringify({ choices: [{ index: 0, delta: { content } }] })),
    },
    words.map((text) => JSON.stringify({ text, id: text, choices: [{ text }] })),
    words.map((text) => `{ "choices": [ { "text": ${JSON.stringify(text)} } ] }`),
    words.map((text) => JSON.stringify({ choices: [{ text, finish_reason: 'stop' }] })),
    fc
      .nat(9)
      .map((count) => JSON.stringify({ choices: [{ text: 'x' }], usage: { completion_tokens: count } })),
    fc.constantFrom(
      '[DONE]',
      '{"error":{"message":"no"}}',
      '{"choices":[]}',
      'no JSON',
      '{"choices":[{"text":"a',
    ),
  );

  it('is read as it is without that', () => {
    fc.assert(
      fc.property(fc.array(chunks, { minLength: 1, maxLength: 30 }), fc.array(fc.nat()), (stream, cuts) => {
        // Without the space after the colon no chunk is recognised, and all of them mean the same.
        const [fast, slow] = ['data: ', 'data:'].map((before) =>
          stream.map((data) => `${before}${data}\n\n`).join(''),
        ) as [string, string];
        const of = (text: string, places: readonly number[]) => {
          const { firstAt: _, lastAt: __, gapsMs, bytes: ___, ...rest } = answerOf(text, places);
          return { ...rest, gaps: gapsMs.length };
        };
        expect(of(fast, cuts)).toEqual(of(slow, []));
        // With times: each event in a read of its own.
        const each = (before: string): string[] => stream.map((data) => `${before}${data}\n\n`);
        const timesOf = (events: readonly string[]) => {
          const reader = new AnswerReader(() => undefined);
          for (const [at, text] of events.entries()) {
            const bytes = Buffer.from(text);
            reader.read(bytes, 0, bytes.length, 1_000 + at);
          }
          const { bytes: _, ...rest } = reader.answer();
          return rest;
        };
        expect(timesOf(each('data: '))).toEqual(timesOf(each('data:')));
      }),
      { numRuns: 500 },
    );
  });
});
