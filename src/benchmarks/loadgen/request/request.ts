import { type Answer, AnswerReader } from '../answer/answer.ts';
import { shorten } from '../answer/chunk.ts';
import type { Measured } from '../figures/measured.ts';
import type { WireClient } from '../wire/client.ts';
import type { Exchanged } from '../wire/connection.ts';
import type { ResponseHead } from '../wire/response.ts';
import type { Prompt } from '../workload/prompt.ts';
import type { WorkloadSettings } from '../workload/settings.ts';
import { canDecode, DecodedBody } from './decoded-body.ts';
import type { RequestSettings } from './settings.ts';

/** A request that is ready to be sent. */
export interface Outgoing {
  /** Number of the request in its run, from 0. */
  readonly index: number;
  /** When the load shape wanted it sent, on the clock of `performance.now()`. */
  readonly intendedAt: number;
  readonly path: string;
  /** JSON in UTF-8. */
  readonly body: Uint8Array<ArrayBuffer>;
  readonly asked: Measured['asked'];
  /** From the first byte sent to the end of the answer, ms. */
  readonly limitMs: number;
}

/** The request for a prompt, by default wanted now. */
export function outgoing(
  config: Pick<WorkloadSettings, 'endpoint'> & Pick<RequestSettings, 'extraBody' | 'requestTimeoutMs'>,
  model: string,
  prompt: Prompt,
  { index = 0, intendedAt = performance.now() }: { index?: number; intendedAt?: number | undefined } = {},
): Outgoing {
  const chat = config.endpoint === '/v1/chat/completions';
  const body = JSON.stringify({
    temperature: 0,
    // Prevents engines from ending early, because the measured lengths must be the requested ones. (SGLang,
    // vLLM, TensorRT-LLM)
    ignore_eos: true,
    ...config.extraBody,
    model,
    ...(chat ? { messages: [{ role: 'user', content: prompt.content }] } : { prompt: prompt.content }),
    max_tokens: prompt.outputTokens,
    stream: true,
    stream_options: { include_usage: true },
  });
  return {
    index,
    intendedAt,
    path: config.endpoint,
    body: new TextEncoder().encode(body),
    asked: {
      inputTokens: prompt.inputTokens,
      outputTokens: prompt.outputTokens,
      isExact: prompt.isExact ?? false,
    },
    limitMs: config.requestTimeoutMs,
  };
}

/** How much of an answer with another status than 200 is kept. */
const MOST_REFUSAL_BYTES = 2_048;

/**
 * Sends one request and measures it by the bytes of its answer. Never rejects: a failure is in `error`.
 * @param onChunk called for each chunk that carries output
 */
export async function measureRequest(
  client: WireClient,
  { path, body, limitMs, ...request }: Outgoing,
  onChunk: () => void = () => undefined,
): Promise<Measured> {
  const reader = new AnswerReader(onChunk);
  const refusal: Buffer[] = [];
  let refusalBytes = 0;
  let head: ResponseHead | undefined;
  let decoded: DecodedBody | undefined;
  const exchanged = await client.exchange({
    ...{ method: 'POST', path, body, limitMs },
    onHead(given, complete) {
      head = given;
      if (given.status !== 200 || !canDecode(given.contentEncoding)) return;
      decoded = new DecodedBody(given.contentEncoding, (bytes, now) => {
        reader.read(bytes, 0, bytes.length, now);
        if (reader.isFinished) complete();
      });
    },
    onBody(bytes, from, to, now) {
      if (decoded) decoded.add(bytes, from, to, now);
      else if (head?.status === 200 && !isCoded(head)) reader.read(bytes, from, to, now);
      else if (refusalBytes < MOST_REFUSAL_BYTES) {
        refusal.push(Buffer.from(bytes.subarray(from, to)));
        refusalBytes += to - from;
      }
      return reader.isFinished;
    },
  });
  const undecoded = decoded ? await decoded.end() : null;
  const now = performance.now();
  const answer = reader.answer();
  const words = shorten(Buffer.concat(refusal).toString());
  return {
    ...figuresOf(request, exchanged, answer, now),
    error: errorOf(request.asked, exchanged, answer, head, words, undecoded),
  };
}

const isCoded = ({ contentEncoding }: ResponseHead): boolean =>
  contentEncoding !== '' && contentEncoding !== 'identity';

/** Why the request has failed; null when it has not. */
function errorOf(
  asked: Measured['asked'],
  { failure, status }: Exchanged,
  answer: Answer,
  head: ResponseHead | undefined,
  refusal: string,
  undecoded: string | null,
): string | null {
  if (failure !== null) return answer.error ?? failure;
  if (status !== 200) return `HTTP ${status}: ${refusal}`;
  if (head && isCoded(head) && !canDecode(head.contentEncoding))
    return `the answer has an encoding that cannot be read here (${shorten(head.contentEncoding)}), and was not accepted`;
  if (answer.error !== null) return answer.error;
  if (!answer.finished && undecoded !== null) return undecoded;
  if (!answer.finished) return 'the stream ended without [DONE]';
  const counted = answer.usage?.completionTokens;
  if (answer.chunks === 0 || counted === 0) return 'no token arrived';
  // vLLM 0.32 shortens an answer whose prompt and tokens exceed the context, with HTTP 200, which would
  // measure another load.
  if (counted !== undefined && counted < asked.outputTokens)
    return `only ${counted} of the ${asked.outputTokens} requested output tokens arrived`;
  return null;
}

function figuresOf(
  { index, intendedAt, asked }: Pick<Outgoing, 'index' | 'intendedAt' | 'asked'>,
  { startedAt = 0, connectMs, status, failure }: Exchanged,
  answer: Answer,
  now: number,
): Omit<Measured, 'error'> {
  const began = startedAt || now;
  const firstAt = answer.firstAt || now;
  const lastAt = answer.lastAt || now;
  const isWhole = failure === null && answer.error === null && answer.finished;
  return {
    index,
    intendedAt,
    startedAt: began,
    queuedMs: began - intendedAt,
    connectMs,
    firstAt,
    ttftMs: firstAt - began,
    lastAt,
    // As in sa-bench: what follows the last token (usage, [DONE]) does not count as waiting time.
    endedAt: isWhole ? lastAt : now,
    gapsMs: answer.gapsMs,
    chunks: answer.chunks,
    asked,
    usage: answer.usage,
    inputTokens: answer.usage?.promptTokens ?? asked.inputTokens,
    outputTokens: answer.usage?.completionTokens ?? answer.chunks,
    answerBytes: answer.bytes,
    model: answer.model,
    finishReason: answer.finishReason,
    status,
  };
}
