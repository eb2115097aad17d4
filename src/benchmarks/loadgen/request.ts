import type { Dispatcher, Pool } from 'undici';
import { readAnswer } from './answer.ts';
import type { LoadgenConfig } from './config.ts';
import type { Prompt } from './dataset.ts';

/** Measurements of one request, in ms of a monotonic clock. `error` set = it failed. */
export interface Measured {
  readonly startedAt: number;
  readonly endedAt: number;
  readonly ttftMs: number;
  /** Gaps between the chunks that carry text. */
  readonly gapsMs: readonly number[];
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly error: string | null;
}

/** Length of an error's text that is enough to recognise it. */
const ERROR_CHARS = 200;

function bodyOf(config: LoadgenConfig, model: string, prompt: Prompt): string {
  const chat = config.endpoint === '/v1/chat/completions';
  return JSON.stringify({
    model,
    ...(chat ? { messages: [{ role: 'user', content: prompt.content }] } : { prompt: prompt.content }),
    max_tokens: prompt.outputTokens,
    temperature: 0,
    stream: true,
    stream_options: { include_usage: true },
    // Prevents engines from ending early, because the measured lengths must be the requested ones. (SGLang,
    // vLLM, TensorRT-LLM)
    ignore_eos: true,
  });
}

/** Sends one request and measures it by the bytes of its answer. Never rejects: a failure is in `error`. */
export async function measureRequest(
  pool: Pool,
  config: LoadgenConfig,
  model: string,
  prompt: Prompt,
  onChunk: () => void,
): Promise<Measured> {
  const body = bodyOf(config, model, prompt);
  const { answer, read } = readAnswer(onChunk);
  const startedAt = performance.now();
  const failure = await exchange(pool, config, body, read);
  const endedAt = performance.now();
  const outputTokens = answer.usage?.completion_tokens ?? answer.chunks;
  let error = failure ?? answer.error;
  if (error === null && !answer.finished) error = 'the stream ended without [DONE]';
  if (error === null && (answer.chunks === 0 || outputTokens === 0)) error = 'no token arrived';
  const counted = answer.usage?.completion_tokens;
  // vLLM 0.32 shortens an answer whose prompt and tokens exceed the context, with HTTP 200, which would
  // measure another load.
  if (error === null && counted !== undefined && counted < prompt.outputTokens)
    error = `only ${counted} of the ${prompt.outputTokens} requested output tokens arrived`;
  return {
    startedAt,
    // As in sa-bench: text after the last token (usage, [DONE]) does not count as waiting time.
    endedAt: error === null ? answer.lastAt : endedAt,
    ttftMs: answer.firstAt - startedAt,
    gapsMs: answer.gapsMs,
    inputTokens: answer.usage?.prompt_tokens ?? prompt.inputTokens,
    outputTokens,
    error,
  };
}

/**
 * One POST; `read` gets the bytes of a 200 as they arrive. Resolves with the error, or null. It uses a
 * dispatch handler, because a Readable for each answer costs as much CPU again as everything else.
 */
function exchange(
  pool: Pool,
  { endpoint, requestTimeoutMs }: LoadgenConfig,
  body: string,
  read: (bytes: Buffer) => void,
): Promise<string | null> {
  return new Promise((resolve) => {
    let status = 0;
    let refusal = '';
    let timer: NodeJS.Timeout | undefined;
    const end = (failure: string | null): void => {
      clearTimeout(timer);
      resolve(failure);
    };
    const handler: Dispatcher.DispatchHandler = {
      onRequestStart(controller) {
        timer ??= setTimeout(
          () => controller.abort(new Error(`no end after ${requestTimeoutMs / 1_000} s`)),
          requestTimeoutMs,
        );
      },
      onResponseStart(_controller, statusCode) {
        status = statusCode;
      },
      onResponseData(_controller, bytes) {
        if (status === 200) read(bytes);
        else if (refusal.length < ERROR_CHARS) refusal += bytes.toString();
      },
      onResponseEnd() {
        const why = refusal.replaceAll(/\s+/g, ' ').slice(0, ERROR_CHARS);
        end(status === 200 ? null : `HTTP ${status}: ${why}`);
      },
      onResponseError(_controller, error) {
        end(describeError(error));
      },
    };
    const headers = { 'content-type': 'application/json', accept: 'text/event-stream' };
    pool.dispatch({ path: endpoint, method: 'POST', headers, body }, handler);
  });
}

/** The message of a network error, with its code unless the message contains it. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as Error & { code?: unknown };
  return typeof code === 'string' && !error.message.includes(code)
    ? `${code}: ${error.message}`
    : error.message;
}
