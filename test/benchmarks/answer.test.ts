import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readAnswer } from '../../src/benchmarks/loadgen/answer.ts';

/** Reads a stream that is cut at the given places. */
function answerOf(text: string, cuts: readonly number[] = []) {
  const bytes = Buffer.from(text);
  const { answer, read } = readAnswer(() => undefined);
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  let from = 0;
  for (const to of [...places, bytes.length]) {
    read(bytes.subarray(from, to));
    from = to;
  }
  return answer;
}

const event = (content: object, end = '\n'): string => `data: ${JSON.stringify(content)}${end}${end}`;
const token = (text: string, end = '\n'): string => event({ choices: [{ index: 0, text }] }, end);
const done = (end = '\n'): string => `data: [DONE]${end}${end}`;

describe('a streamed answer', () => {
  const ends = { LF: '\n', CRLF: '\r\n', CR: '\r' };
  it.each(Object.entries(ends))(
    'with keep-alives and lines that end with %s is the same wherever it is cut',
    (_, end) => {
      const keepAlive = `: ping${end}${end}`;
      const usage = event({ choices: [], usage: { prompt_tokens: 3, completion_tokens: 3 } }, end);
      // The comment at the end shows that the last event does not wait for the next one's bytes.
      const text = `${keepAlive}${token(' é', end)}${keepAlive}${token('語', end)}${token('😀', end)}${usage}${done(end)}${keepAlive}`;
      fc.assert(
        fc.property(fc.array(fc.nat()), (cuts) => {
          expect(answerOf(text, cuts)).toMatchObject({
            chunks: 3,
            finished: true,
            error: null,
            usage: { prompt_tokens: 3, completion_tokens: 3 },
          });
        }),
      );
    },
  );

  it.each([
    ['an object', { error: { message: 'EngineCore encountered an issue', code: 500 } }, /^EngineCore enc/],
    ['a text', { error: 'no worker' }, /^no worker$/],
    ['an object without a message', { error: { code: 500 } }, /^\{"code":500\}$/],
    ['an object without an error key', { object: 'error', message: 'KV transfer failed' }, /^KV transfer/],
  ])('with an error as %s has failed, with the error’s text', (_, content, words) => {
    expect(answerOf(token('a') + event(content) + done()).error).toMatch(words);
  });

  it.each([
    'event: error\n: KV transfer of request 17 failed\n\n',
    'event: error\ndata: KV transfer of request 17 failed\n\n',
    'event: error\r\n: KV transfer of request 17 failed\r\n\r\n',
  ])('with a named error event has failed, with the event’s text: %j', (text) => {
    expect(answerOf(token('a') + text + done()).error).toBe(
      'the stream has an error event: KV transfer of request 17 failed',
    );
  });

  it('counts reasoning under either name, and not the role that opens a chat', () => {
    const delta = (content: object) =>
      event({ choices: [{ index: 0, delta: content, finish_reason: null }] });
    const role = delta({ role: 'assistant', content: '' });
    for (const name of ['content', 'reasoning', 'reasoning_content'])
      expect(answerOf(role + delta({ [name]: 'hm' }) + delta({ [name]: 'a' }) + done()).chunks).toBe(2);
  });

  it('counts a token that decodes to nothing, and not the chunk that only ends an answer', () => {
    const last = event({ choices: [{ index: 0, text: '', finish_reason: 'length' }] });
    expect(answerOf(token('') + token('a') + last + done())).toMatchObject({ chunks: 2, error: null });
  });

  it('with only tokens that decode to nothing has the times of its chunks', () => {
    const last = event({ choices: [{ index: 0, text: '', finish_reason: 'length' }] });
    const answer = answerOf(last + done());
    expect(answer).toMatchObject({ chunks: 0, finished: true });
    expect(answer.firstAt).toBeGreaterThan(0);
    expect(answer.lastAt).toBe(answer.firstAt);
  });
});
