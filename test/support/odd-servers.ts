import type { ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';

/** What a request asked for. */
export interface Asked {
  readonly output: number;
  readonly prompt: number;
  readonly model: string;
}

export interface OddServer {
  readonly name: string;
  /** Answers one request. */
  readonly answer: (response: ServerResponse, asked: Asked) => void;
  /** Requests go to the chat endpoint. */
  readonly chat?: boolean;
  /** The name of the limit that is exceeded, or null for a result that is right and valid. */
  readonly verdict: string | null;
  /** The verdict when one of a hundred requests is answered so; by default the same. */
  readonly amongGood?: string | null;
}

const SSE = { 'content-type': 'text/event-stream' };
export const data = (content: object): string => `data: ${JSON.stringify(content)}\n\n`;
export const DONE = 'data: [DONE]\n\n';
const text = (words: string, over: object = {}) => data({ choices: [{ index: 0, text: words, ...over }] });
const delta = (fields: object, over: object = {}) =>
  data({ choices: [{ index: 0, delta: fields, ...over }] });
const usage = (prompt: unknown, output: unknown) =>
  data({ choices: [], usage: { prompt_tokens: prompt, completion_tokens: output } });
const times = (count: number, piece: string): string => piece.repeat(count);

/** Streams all of the pieces, each a write of its own. */
function send(response: ServerResponse, ...pieces: readonly (string | Uint8Array)[]): void {
  response.writeHead(200, SSE);
  for (const piece of pieces) response.write(piece);
  response.end();
}

/** A completion that is as it should be, but for `over`. */
export function complete(
  response: ServerResponse,
  { output, prompt }: Asked,
  over: { body?: string; usage?: string; end?: string } = {},
): void {
  send(
    response,
    over.body ?? times(output, text(' a')),
    over.usage ?? usage(prompt, output),
    over.end ?? DONE,
  );
}

const refuses = (status: number): OddServer => ({
  name: `answers HTTP ${status}`,
  answer: (response) => void response.writeHead(status).end('no'),
  verdict: 'max_failed',
});
const states = (
  name: string,
  counts: (asked: Asked) => readonly [prompt: unknown, output: unknown],
  verdict: string | null,
  amongGood: string | null = verdict,
): OddServer => ({
  name,
  answer: (response, asked) => complete(response, asked, { usage: usage(...counts(asked)) }),
  verdict,
  amongGood,
});
const writes = (
  name: string,
  body: (asked: Asked) => string,
  verdict: string | null = null,
  chat = false,
): OddServer => ({
  name,
  answer: (response, asked) => complete(response, asked, { body: body(asked) }),
  verdict,
  chat,
});

const WITHOUT_USAGE = '';

/** Servers as they exist, or could: each is right, or its figures must not count. */
export const ODD_SERVERS: readonly OddServer[] = [
  // Right, in all the forms that engines have.
  writes('sends a token in each chunk', ({ output }) => times(output, text(' a'))),
  writes(
    'sends tokens that decode to no text',
    ({ output }) => times(output - 3, text(' a')) + times(3, text('')),
  ),
  writes(
    'says in a further chunk why it ended',
    ({ output }) => times(output, text(' a')) + text('', { finish_reason: 'length' }),
  ),
  writes(
    'says with its last token why it ended',
    ({ output }) => times(output - 1, text(' a')) + text(' a', { finish_reason: 'length' }),
  ),
  writes('sends four tokens in each chunk', ({ output }) => times(output / 4, text(' a a a a'))),
  writes('sends the whole answer in one chunk', ({ output }) => text(' a'.repeat(output))),
  writes('sends comments to keep the connection', ({ output }) => times(output, `: ping\n\n${text(' a')}`)),
  writes('ends lines with CR and LF', ({ output }) => times(output, text(' a').replaceAll('\n', '\r\n'))),
  writes('writes no space after the colon', ({ output }) =>
    times(output, text(' a').replace('data: ', 'data:')),
  ),
  writes('names and numbers its events', ({ output }) =>
    times(output, `event: completion\nid: 1\n${text(' a')}`),
  ),
  writes('states usage as null until the end', ({ output }) =>
    times(output, data({ choices: [{ text: ' a' }], usage: null })),
  ),
  writes('names the model', ({ output, model }) => times(output, data({ model, choices: [{ text: ' a' }] }))),
  writes('adds fields of its own', ({ output }) =>
    times(output, data({ id: 'x', choices: [{ text: ' a', logprobs: null, token_ids: [1] }], nvext: {} })),
  ),
  {
    name: 'states usage in each chunk',
    answer: (response, asked) => {
      const pieces = Array.from({ length: asked.output }, (_, at) =>
        data({
          choices: [{ text: ' a' }],
          usage: { prompt_tokens: asked.prompt, completion_tokens: at + 1 },
        }),
      );
      complete(response, asked, { body: pieces.join(''), usage: '' });
    },
    verdict: null,
  },
  {
    name: 'cuts its bytes inside of characters',
    answer: (response, asked) => {
      const bytes = Buffer.from(
        `${times(asked.output, text(' é'))}${usage(asked.prompt, asked.output)}${DONE}`,
      );
      const pieces = Array.from({ length: Math.ceil(bytes.length / 7) }, (_, at) =>
        bytes.subarray(at * 7, at * 7 + 7),
      );
      send(response, ...pieces);
    },
    verdict: null,
  },
  {
    name: 'states no usage, with a token in each chunk',
    answer: (response, asked) => complete(response, asked, { usage: WITHOUT_USAGE }),
    verdict: null,
  },
  {
    name: 'answers chats: a role, then content',
    ...{ chat: true, verdict: null },
    answer: (response, asked) =>
      complete(response, asked, {
        body: delta({ role: 'assistant', content: '' }) + times(asked.output, delta({ content: ' a' })),
      }),
  },
  writes('thinks in delta.reasoning', ({ output }) => times(output, delta({ reasoning: ' a' })), null, true),
  writes(
    'thinks in delta.reasoning_content',
    ({ output }) => times(output, delta({ reasoning_content: ' a' })),
    null,
    true,
  ),
  writes(
    'thinks, then answers',
    ({ output }) =>
      times(output - 4, delta({ reasoning_content: ' a' })) + times(4, delta({ content: ' a' })),
    null,
    true,
  ),
  writes('refuses in words', ({ output }) => times(output, delta({ refusal: ' a' })), null, true),
  writes(
    'calls a tool',
    ({ output }) => times(output, delta({ tool_calls: [{ index: 0, function: { arguments: ' a' } }] })),
    null,
    true,
  ),
  {
    name: 'packs its answer with gzip, which was not accepted',
    answer: (response, { output, prompt }) => {
      response.writeHead(200, { ...SSE, 'content-encoding': 'gzip' });
      response.end(gzipSync(times(output, text(' a')) + usage(prompt, output) + DONE));
    },
    verdict: null,
  },
  {
    name: 'says 100 Continue before its answer',
    answer: (response, asked) => {
      response.writeContinue();
      complete(response, asked);
    },
    verdict: null,
  },
  {
    name: 'leaves the connection open after [DONE]',
    answer: (response, { output, prompt }) => {
      response.writeHead(200, SSE);
      response.write(times(output, text(' a')) + usage(prompt, output) + DONE);
    },
    verdict: null,
  },

  // Requests that failed, whatever the status says.
  ...[400, 404, 429, 500, 503].map(refuses),
  {
    name: 'answers 200 with an error in JSON',
    answer: (response) =>
      void response.writeHead(200, { 'content-type': 'application/json' }).end('{"error":{"message":"no"}}'),
    verdict: 'max_failed',
  },
  {
    name: "answers 200 with a proxy's page",
    answer: (response) =>
      void response.writeHead(200, { 'content-type': 'text/html' }).end('<html><body>Sign in</body></html>'),
    verdict: 'max_failed',
  },
  {
    name: 'answers 200 with nothing',
    answer: (response) => void response.writeHead(200, SSE).end(),
    verdict: 'max_failed',
  },
  {
    name: 'answers 204',
    answer: (response) => void response.writeHead(204).end(),
    verdict: 'max_failed',
  },
  {
    name: 'redirects',
    answer: (response) => void response.writeHead(307, { location: 'http://127.0.0.1:9/' }).end(),
    verdict: 'max_failed',
  },
  {
    name: 'closes the connection without an answer',
    answer: (response) => void response.destroy(),
    verdict: 'max_failed',
  },
  {
    name: 'breaks off in the middle',
    answer: (response, { output }) => {
      response.writeHead(200, SSE);
      response.write(times(output / 2, text(' a')), () => response.destroy());
    },
    verdict: 'max_failed',
  },
  {
    name: 'ends without [DONE]',
    answer: (response, asked) => complete(response, asked, { end: '' }),
    verdict: 'max_failed',
  },
  {
    name: 'sends [DONE] alone',
    answer: (response) => send(response, DONE),
    verdict: 'max_failed',
  },
  writes(
    'sends a named error event after its tokens',
    ({ output }) => `${times(output, text(' a'))}event: error\n: KV transfer failed\n\n`,
    'max_failed',
  ),
  writes(
    'sends an error object',
    ({ output }) => times(output, text(' a')) + data({ error: { message: 'died' } }),
    'max_failed',
  ),
  writes(
    'sends an error without a key of that name',
    ({ output }) => times(output, text(' a')) + data({ object: 'error', message: 'died' }),
    'max_failed',
  ),
  writes(
    'sends what is no JSON',
    ({ output }) => `${times(output, text(' a'))}data: {"choices\n\n`,
    'max_failed',
  ),
  writes('sends a role and no more', () => delta({ role: 'assistant', content: '' }), 'max_failed', true),
  {
    name: 'never ends',
    answer: (response) => {
      response.writeHead(200, SSE);
      response.write(text(' a'));
    },
    verdict: 'max_failed',
  },

  // Answers that are not what was asked for.
  {
    name: 'ends after half of its tokens',
    answer: (response, { output, prompt }) =>
      send(response, times(output / 2, text(' a')), usage(prompt, output / 2), DONE),
    verdict: 'max_ended_early',
  },
  {
    name: 'ends one token early',
    answer: (response, { output, prompt }) =>
      send(response, times(output - 1, text(' a')), usage(prompt, output - 1), DONE),
    verdict: 'max_ended_early',
  },
  {
    name: 'ends after half of its tokens, without usage',
    answer: (response, { output }) => send(response, times(output / 2, text(' a')), DONE),
    verdict: 'max_without_usage',
  },
  {
    name: 'sends several tokens in a chunk, without usage',
    answer: (response, { output }) => send(response, times(output / 4, text(' a a a a')), DONE),
    verdict: 'max_without_usage',
  },
  {
    name: 'sends twice the tokens, and counts them',
    answer: (response, { output, prompt }) =>
      send(response, times(2 * output, text(' a')), usage(prompt, 2 * output), DONE),
    verdict: 'max_contradicting_usage',
  },
  writes(
    'sends two choices for one',
    ({ output }) => times(output, text(' a') + text(' a', { index: 1 })),
    'max_contradicting_usage',
  ),
  states(
    'counts ten times its tokens',
    ({ prompt, output }) => [prompt, 10 * output],
    'max_contradicting_usage',
  ),
  states('counts one token more', ({ prompt, output }) => [prompt, output + 1], 'max_contradicting_usage'),
  states('counts two tokens for all of its chunks', ({ prompt }) => [prompt, 2], 'max_ended_early'),
  states('counts more tokens than bytes', ({ prompt }) => [prompt, 1e9], 'max_contradicting_usage'),
  states('counts below zero', ({ prompt, output }) => [prompt, -output], 'max_failed'),
  states('counts no tokens', ({ prompt }) => [prompt, 0], 'max_failed'),
  states('counts half a token', ({ prompt, output }) => [prompt, output + 0.5], 'max_failed'),
  states('counts in words', ({ prompt, output }) => [prompt, String(output)], 'max_failed'),
  states(
    'counts prompt tokens below zero',
    ({ prompt, output }) => [-prompt, output],
    'max_contradicting_usage',
  ),
  states('counts half of the prompt', ({ prompt, output }) => [prompt / 2, output], 'prompt_tokens', null),
  states(
    'counts three times the prompt',
    ({ prompt, output }) => [3 * prompt, output],
    'prompt_tokens',
    'prompt_tokens',
  ),
  states('counts no prompt token', ({ output }) => [0, output], 'prompt_tokens', null),
  states('adds a token to the prompt that begins a text', ({ prompt, output }) => [prompt + 1, output], null),
  writes(
    'is another model',
    ({ output }) => times(output, data({ model: 'other', choices: [{ text: ' a' }] })),
    'max_other_model',
  ),
];
