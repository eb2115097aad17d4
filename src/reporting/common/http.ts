import { deadline } from './deadline.ts';
import type { Outcome } from './deliveries.ts';

/** How long the other side may take to answer: 5 s, as in srt-slurm (core/status.py). */
const ANSWER_MS = 5_000;
/** Characters of an answer that a log line quotes. */
const MOST_QUOTED = 200;

/** A receiver for the eyes of people: the rest of a webhook's URL is often its secret. */
export const hostOf = (url: string): string => (URL.canParse(url) ? new URL(url).host : 'no URL');

export interface Message {
  readonly method: 'POST' | 'PUT';
  readonly url: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export type Answer =
  | { readonly status: number; readonly text: string; readonly afterMs: number }
  | { readonly failed: string };

/**
 * Sends JSON. A redirection is a failure, because a token must not follow it to another host. Never throws.
 * @param signal gives the request up
 */
export async function sendJson(
  { method, url, body, headers }: Message,
  signal: AbortSignal,
): Promise<Answer> {
  const limit = deadline(ANSWER_MS, signal);
  try {
    const response = await fetch(url, {
      ...{ method, body, redirect: 'error' },
      headers: { 'content-type': 'application/json', ...headers },
      signal: limit.signal,
    });
    const text = (await response.text()).slice(0, MOST_QUOTED);
    const asked = Number(response.headers.get('retry-after'));
    return { status: response.status, text, afterMs: Number.isFinite(asked) ? asked * 1_000 : 0 };
  } catch (error) {
    return { failed: reasonOf(error) };
  } finally {
    limit.end();
  }
}

/** A receiver that is overloaded or broken may take the message later; one that refuses it will not. */
export function outcomeOf(answer: Answer): Outcome {
  if ('failed' in answer) return { again: answer.failed };
  const { status, text, afterMs } = answer;
  if (status >= 200 && status < 300) return 'done';
  const said = `HTTP ${status}${text === '' ? '' : `: ${text}`}`;
  const mayPass = status >= 500 || [408, 425, 429].includes(status);
  return mayPass ? { again: said, afterMs } : { refused: said };
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  return cause instanceof Error && cause.message !== '' ? cause.message : error.message;
}
