import { createHmac } from 'node:crypto';
import type { SrtEvent, SweepTransition } from '../messages/events/events.ts';
import type { Outcome } from './common/deliveries.ts';
import { outcomeOf, sendJson } from './common/http.ts';
import type { ReportedJob } from './common/job.ts';
import { figuresOf } from './status/lifecycle.ts';

/** Beginning of a key that is written in base64. */
const BASE64_KEY = 'whsec_';

/** One message to webhooks. */
export interface Webhook {
  /** The same for each try, so that a receiver can leave repeats out. */
  readonly id: string;
  readonly body: string;
}

/**
 * Headers of Standard Webhooks (specification 1.0.0, standard-webhooks/standard-webhooks): HMAC-SHA256 over
 * `id.timestamp.body`.
 * @param key `whsec_` and the key in base64, or any other text, whose bytes are the key
 * @param atS seconds since 1970, of this try; a receiver refuses old ones
 */
export function signatureOf({ id, body }: Webhook, key: string, atS: number): Record<string, string> {
  const bytes = key.startsWith(BASE64_KEY)
    ? Buffer.from(key.slice(BASE64_KEY.length), 'base64')
    : Buffer.from(key, 'utf8');
  const signature = createHmac('sha256', bytes).update(`${id}.${atS}.${body}`).digest('base64');
  return { 'webhook-id': id, 'webhook-timestamp': String(atS), 'webhook-signature': `v1,${signature}` };
}

/** The messages about a job, from its events in their order. */
export class WebhookMessages {
  readonly #job: ReportedJob;
  #hasStarted = false;
  /** Points that run. A coordinator that takes over begins its account of the running one anew. */
  readonly #running = new Set<number>();

  constructor(job: ReportedJob) {
    this.#job = job;
  }

  /** The message about an event; undefined when there is none. */
  take(event: SrtEvent): Webhook | undefined {
    const data = this.#dataOf(event);
    if (!data) return undefined;
    const { spec, cluster } = this.#job;
    const { type, ...rest } = data;
    const job = { id: spec.jobId, name: spec.name, cluster: cluster ?? null, tags: spec.tags };
    return {
      id: `${spec.jobId}.${event.source}.${event.seq}`.replaceAll(/[^\w.:-]/g, '_'),
      body: JSON.stringify({ type, timestamp: event.at, data: { job, ...rest } }),
    };
  }

  #dataOf(event: SrtEvent): ({ type: string } & Record<string, unknown>) | undefined {
    switch (event.kind) {
      case 'sweep.transition':
        return event.to === 'booting' ? this.#started(event.points) : endOf(event);
      case 'point.transition': {
        const { ordinal, name, to } = event;
        if (to !== 'deploying') {
          if (OVER.has(to)) this.#running.delete(ordinal);
          return undefined;
        }
        if (this.#running.has(ordinal)) return undefined;
        this.#running.add(ordinal);
        return { type: 'point.started', point: { ordinal, name } };
      }
      case 'point.result':
        return {
          type: 'point.finished',
          point: figuresOf(event.result),
          cause: event.result.cause && { summary: event.result.cause.summary },
        };
      case 'worker.restart':
        return event.to === 'ready'
          ? { type: 'worker.restarted', endpoint: event.endpoint, node: event.node, why: event.why }
          : undefined;
      case 'job.warning':
        return { type: 'job.warning', text: event.text };
      default:
        return undefined;
    }
  }

  #started(points: number): { type: string } | undefined {
    if (this.#hasStarted) return undefined;
    this.#hasStarted = true;
    return { type: 'job.started', ...{ points } };
  }
}

/** States of a point in which it does not run, or not any more. */
const OVER: ReadonlySet<string> = new Set(['cleaning', 'done', 'failed', 'interrupted']);

function endOf({ to, exitCode, why, cause }: SweepTransition): { type: string } | undefined {
  if (to !== 'finished') return undefined;
  const summary = cause && { summary: cause.summary, advice: cause.advice ?? null };
  return { type: 'job.finished', ...{ exitCode, why, cause: summary } };
}

/** Sends one message. Each try has its own timestamp. */
export async function sendWebhook(
  url: string,
  key: string,
  webhook: Webhook,
  signal: AbortSignal,
): Promise<Outcome> {
  const headers = signatureOf(webhook, key, Math.floor(Date.now() / 1_000));
  return outcomeOf(await sendJson({ method: 'POST', url, body: webhook.body, headers }, signal));
}
