import { randomInt } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import * as z from 'zod';
import { parseJson } from '../common/http.ts';
import { refuseInPieces } from '../engine/dynamo-answers.ts';
import { counted, withFields } from '../router/dispatch.ts';
import type { Policy } from '../router/policy.ts';
import { send, whenGone } from '../router/upstream.ts';
import { inhibit, type KnownWorker, type WorkerPool } from './known-workers.ts';

const UNAVAILABLE = 'Service temporarily unavailable';

const bodySchema = z.looseObject({
  model: z.string(),
  stream: z.boolean().nullish(),
  max_tokens: z.number().int().nonnegative().nullish(),
});
/** The fields that Dynamo accepts in a request; it refuses all others. */
const ALLOWED = new Set(
  (
    'model stream stream_options max_tokens max_completion_tokens min_tokens ignore_eos temperature top_p top_k n stop ' +
    'seed logprobs echo best_of frequency_penalty presence_penalty repetition_penalty logit_bias user suffix prompt ' +
    'messages tools tool_choice response_format reasoning_effort metadata nvext chat_template_kwargs'
  ).split(' '),
);

/** Validates a request: returns an error in Dynamo's words, or the fields that the frontend needs. */
export function problemOf(text: string, isChat: boolean): string | { model: string; isStream: boolean } {
  const deserialize = 'Failed to deserialize the JSON body into the target type:';
  const body = parseJson(text);
  const fields = z.record(z.string(), z.unknown()).safeParse(body).data;
  if (!fields) return `${deserialize} key must be a string at line 1 column 2`;
  const content = isChat ? 'messages' : 'prompt';
  for (const name of ['model', content])
    if (fields[name] === undefined) return `${deserialize} missing field \`${name}\``;
  const read = bodySchema.safeParse(fields).data;
  if (!read) return `${deserialize} invalid value: integer \`${String(fields.max_tokens)}\`, expected u32`;
  const unknown = Object.keys(fields).filter((name) => !ALLOWED.has(name));
  if (unknown.length > 0)
    return `Validation: Unsupported parameter(s): ${unknown.map((name) => `\`${name}\``).join(', ')}`;
  const given = fields[content];
  if (Array.isArray(given) && given.length === 0)
    return isChat
      ? "Validation: The 'messages' field cannot be empty. At least one message is required."
      : 'Validation: Prompt string array cannot be empty';
  if (given === '') return 'Validation: Prompt string cannot be empty';
  return { model: read.model, isStream: read.stream === true };
}

interface Question {
  readonly path: string;
  readonly text: string;
  readonly isStream: boolean;
}

/** Sends a request to one worker, or to a prefill and a decode worker at once, and forwards the answer. */
export async function dispatchToWorkers(
  pool: WorkerPool,
  policy: Policy,
  question: Question,
  response: ServerResponse,
): Promise<void> {
  const prefix = question.text.slice(0, 256);
  const choose = (among: readonly KnownWorker[]): KnownWorker | undefined =>
    policy(among, prefix) as KnownWorker | undefined;
  const worker = choose(pool.regular.length > 0 ? pool.regular : pool.decode);
  const prefill = pool.regular.length > 0 ? undefined : choose(pool.prefill);
  if (!worker || (pool.regular.length === 0 && !prefill))
    return refuseInPieces(response, 503, 'Service Unavailable', UNAVAILABLE);
  const targets = prefill ? [prefill, worker] : [worker];
  await counted(targets, response, () => ask(worker, prefill, question, response));
}

async function ask(
  worker: KnownWorker,
  prefill: KnownWorker | undefined,
  { path, text, isStream }: Question,
  response: ServerResponse,
): Promise<void> {
  const stop = new AbortController();
  const signal = AbortSignal.any([whenGone(response), stop.signal]);
  const room = prefill && {
    bootstrap_host: prefill.bootstrap.host,
    bootstrap_port: prefill.bootstrap.port,
    bootstrap_room: randomInt(2 ** 47),
  };
  const body = (room ? withFields(text, room) : text) ?? text;
  const to = (target: KnownWorker): Promise<IncomingMessage> =>
    send({ url: target.url, method: 'POST', path, body, signal }).catch((error: unknown) => {
      if (!signal.aborted) inhibit(target);
      throw error;
    });
  const prefilled = prefill
    ? to(prefill).then((answer) => {
        answer.resume();
        if (answer.statusCode !== 200) throw new Error(`prefill worker answers HTTP ${answer.statusCode}`);
      })
    : undefined;
  // Ends a decode stream when its prefill fails, because the decode worker would wait for that prefill.
  prefilled?.catch(() => stop.abort());
  const broke = (): void => {
    if (!stop.signal.aborted) inhibit(worker);
  };
  const decoded = to(worker);
  decoded.catch(() => undefined);
  try {
    // A failed prefill settles the race, because the decode worker would wait for that prefill.
    const answer = await (prefilled ? Promise.race([decoded, prefilled.then(() => decoded)]) : decoded);
    handOn(answer, response, { isStream, broke });
  } catch {
    stop.abort();
    if (!signal.aborted || !response.destroyed)
      refuseInPieces(response, 503, 'Service Unavailable', UNAVAILABLE);
  }
}

/**
 * When the worker dies during a stream (`broke`), the answer stays HTTP 200 and ends with an error and
 * [DONE].
 */
function handOn(
  answer: IncomingMessage,
  response: ServerResponse,
  { isStream, broke }: { isStream: boolean; broke: () => void },
): void {
  if (answer.statusCode !== 200) {
    answer.resume();
    refuseInPieces(response, 500, 'Internal Server Error', 'Failed to generate completions');
    return;
  }
  const { 'content-type': type = 'application/json', 'cache-control': cache } = answer.headers;
  response.writeHead(200, {
    'content-type': type,
    ...(cache === undefined ? {} : { 'cache-control': cache }),
  });
  if (isStream) response.flushHeaders();
  let isCut = false;
  const cut = (): void => {
    if (isCut || response.destroyed) return;
    isCut = true;
    broke();
    const error = { message: UNAVAILABLE, type: 'service_unavailable', code: 503 };
    response.end(isStream ? `data: ${JSON.stringify({ error })}\n\ndata: [DONE]\n\n` : '');
  };
  answer.once('error', cut);
  answer.once('aborted', cut);
  answer.on('data', (bytes: Buffer) => {
    if (!response.write(bytes)) answer.pause();
  });
  response.on('drain', () => answer.resume());
  answer.once('end', () => response.end());
}
