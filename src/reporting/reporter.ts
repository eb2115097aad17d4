import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import * as z from 'zod';
import { jobPaths, writeJson } from '../messages/job-directory/files.ts';
import { webhooksOf } from '../recipe/schema/reporting.ts';
import { deadline } from './common/deadline.ts';
import { Deliveries } from './common/deliveries.ts';
import { hostOf } from './common/http.ts';
import type { ReportedJob } from './common/job.ts';
import { EventFile, type PlacedEvent } from './follow-events.ts';
import { collectors } from './status/client.ts';
import type { JobUpdate } from './status/contract.ts';
import { Lifecycle } from './status/lifecycle.ts';
import { sendWebhook, type Webhook, WebhookMessages } from './webhook.ts';

/** reporting.json: the byte of events.jsonl up to which each webhook has everything. */
const progressSchema = z.object({ v: z.literal(1), webhooks: z.record(z.string(), z.number()) });

/** How long a receiver that is away is still tried when the run has ended. */
const LAST_REPORTS_MS = 8_000;

/** Messages that wait for a webhook that is away. */
const MOST_WEBHOOKS = 1_000;

type Waiting = Webhook & { readonly next: number };

/** Reports one job: its status, its webhooks, and at the end its trace and its files. */
export class Reporter {
  readonly #job: ReportedJob;
  readonly #env: NodeJS.ProcessEnv;
  readonly #log: Logger;
  readonly #lifecycle: Lifecycle;
  readonly #messages: WebhookMessages;
  readonly #statuses: Deliveries<JobUpdate>[];
  readonly #over = new AbortController();
  #webhooks: Deliveries<Waiting>[] = [];
  /** By the URL of the webhook. */
  readonly #delivered = new Map<string, number>();
  #saving: Promise<void> = Promise.resolve();
  #following: Promise<void> = Promise.resolve();

  constructor(job: ReportedJob, env: NodeJS.ProcessEnv, log: Logger) {
    this.#job = job;
    this.#env = env;
    this.#log = log;
    this.#lifecycle = new Lifecycle(job);
    this.#messages = new WebhookMessages(job);
    this.#statuses = collectors(job, env).map(
      ({ url, update }) => new Deliveries({ to: hostOf(url), send: update, log }),
    );
  }

  /** Follows the job's events. */
  start(): void {
    this.#following = this.#follow();
  }

  /** Delivers the rest, which may take `ms`; all but the upload of files has less time. Never throws. */
  async finish(ms: number): Promise<void> {
    const end = deadline(ms).signal;
    const soon = (): AbortSignal => deadline(LAST_REPORTS_MS, end).signal;
    this.#over.abort();
    await this.#following;
    // Who waits for the end of the job hears of it before its files are uploaded.
    const [told] = await Promise.all([this.#lost(soon()), this.#sendTrace(soon()), this.#upload(end, soon)]);
    await this.#saving;
    if (told > 0)
      this.#log.warn({ lost: told }, 'reports are lost: their receiver did not take them in time');
  }

  async #lost(end: AbortSignal): Promise<number> {
    const lost = await Promise.all([...this.#statuses, ...this.#webhooks].map((each) => each.finish(end)));
    return lost.reduce((sum, each) => sum + each, 0);
  }

  async #follow(): Promise<void> {
    const { jobDir, jobId } = this.#job.spec;
    await this.#openWebhooks();
    const file = new EventFile(jobPaths(jobDir, jobId).events);
    // A reporter that follows another one sends the newest status alone.
    await file.read((placed) => this.#take(placed, false));
    if (this.#lifecycle.last) this.#send(this.#lifecycle.last);
    await file.follow((placed) => this.#take(placed, true), this.#over.signal);
  }

  #take({ event, next }: PlacedEvent, isNew: boolean): void {
    const update = this.#lifecycle.take(event);
    if (update && isNew) this.#send(update);
    const webhook = this.#messages.take(event);
    if (webhook) for (const each of this.#webhooks) each.add({ ...webhook, next });
  }

  #send(update: JobUpdate): void {
    for (const each of this.#statuses) each.add(update);
  }

  async #openWebhooks(): Promise<void> {
    const hooks = webhooksOf(this.#job.reporting);
    if (hooks.length === 0) return;
    const text = await readFile(this.#progressFile, 'utf8').catch(() => '{}');
    const before = progressSchema.safeParse(tryJson(text)).data?.webhooks ?? {};
    for (const [url, next] of Object.entries(before)) this.#delivered.set(url, next);
    this.#webhooks = hooks.flatMap(({ url, secretEnv }) => {
      const key = this.#env[secretEnv];
      if (!key) {
        this.#log.warn(
          { to: hostOf(url), variable: secretEnv },
          'a webhook gets nothing: its variable with the key is not set',
        );
        return [];
      }
      return new Deliveries<Waiting>({
        to: hostOf(url),
        most: MOST_WEBHOOKS,
        send: async (webhook, signal) =>
          webhook.next <= (before[url] ?? 0) ? 'done' : sendWebhook(url, key, webhook, signal),
        log: this.#log,
        onGone: ({ next }) => this.#save(url, next),
      });
    });
  }

  get #progressFile(): string {
    return join(this.#job.spec.jobDir, 'reporting.json');
  }

  #save(url: string, next: number): void {
    if (next <= (this.#delivered.get(url) ?? 0)) return;
    this.#delivered.set(url, next);
    // One write at a time; a full disk only means that a reporter after this one repeats a message.
    this.#saving = this.#saving
      .then(() => writeJson(this.#progressFile, { v: 1, webhooks: Object.fromEntries(this.#delivered) }))
      .then(
        () => undefined,
        () => undefined,
      );
  }

  async #sendTrace(end: AbortSignal): Promise<void> {
    const { enable_otel: isAsked, otel_endpoint: endpoint } = this.#job.recipe.observability ?? {};
    if (!isAsked || !endpoint) return;
    try {
      const { sendTrace } = await import('./traces/send-trace.ts');
      const spans = await sendTrace(this.#job, endpoint, end);
      this.#log.info({ to: hostOf(endpoint), spans }, 'the trace of the job is sent');
    } catch (error) {
      this.#log.warn({ to: hostOf(endpoint), why: textOf(error) }, 'the trace of the job is lost');
    }
  }

  async #upload(end: AbortSignal, soon: () => AbortSignal): Promise<void> {
    const settings = this.#job.reporting?.s3;
    if (!settings) return;
    try {
      const { uploadJob } = await import('./upload.ts');
      const { url, sent, failed } = await uploadJob(this.#job, settings, this.#env, end);
      this.#log.info({ url, files: sent }, 'the files of the job are uploaded');
      for (const each of failed.slice(0, 10)) this.#log.warn(each, 'a file is not uploaded');
      if (failed.length > 10) this.#log.warn({ files: failed.length }, 'files are not uploaded');
      if (sent === 0) return;
      const update = this.#lifecycle.uploaded(url, new Date().toISOString());
      const told = collectors(this.#job, this.#env).map(({ url: to, update: send }) => {
        const last = new Deliveries<JobUpdate>({ to: hostOf(to), send, log: this.#log });
        last.add(update);
        return last.finish(soon());
      });
      await Promise.all(told);
    } catch (error) {
      this.#log.warn({ why: textOf(error) }, 'the files of the job are not uploaded');
    }
  }
}

const textOf = (error: unknown): string =>
  error instanceof Error ? error.message || error.name : String(error);

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
