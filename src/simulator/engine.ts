import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Api, answerTo } from './answers.ts';
import { awaitPrefill, type BootstrapServer } from './bootstrap.ts';
import type { EngineOptions } from './engine-options.ts';
import { parseJson, pathOf, readBody, sendError, sendJson, sendText } from './http.ts';
import { prometheus } from './metrics.ts';
import {
  chatSchema,
  completionSchema,
  fromChat,
  fromCompletion,
  fromGenerate,
  type GenerateRequest,
  generateSchema,
  outputLength,
} from './requests.ts';
import { Scheduler } from './scheduler.ts';

/** One engine's HTTP API, on the leader. */
export class Engine {
  readonly #options: EngineOptions;
  readonly #bootstrap: BootstrapServer | undefined;
  readonly #scheduler: Scheduler;
  readonly #ttft: number[] = [];
  ready = false;

  constructor(options: EngineOptions, bootstrap: BootstrapServer | undefined) {
    this.#options = options;
    this.#bootstrap = bootstrap;
    this.#scheduler = new Scheduler({ speed: options.speed, maxRunning: options.maxRunning });
  }

  metrics(): string {
    const { running, queued, totals } = this.#scheduler;
    return prometheus(this.#options.servedModel, { running, queued, ...totals, ttft: this.#ttft });
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const arrivedAt = performance.now();
    const path = pathOf(request);
    switch (path) {
      case '/health':
      case '/health_generate':
        sendText(response, this.ready ? 200 : 503, '');
        return;
      case '/metrics':
        sendText(response, 200, this.metrics(), 'text/plain; version=0.0.4');
        return;
    }
    if (!this.ready) return sendError(response, 503, 'the model is not loaded');
    switch (path) {
      case '/get_server_info':
      case '/server_info':
        return sendJson(response, 200, this.#serverInfo());
      case '/get_model_info':
      case '/model_info':
        return sendJson(response, 200, { model_path: this.#options.modelPath, is_generation: true });
      case '/flush_cache':
        return sendText(response, 200, 'Cache flushed.\n');
      case '/v1/models':
        return sendJson(response, 200, {
          object: 'list',
          data: [
            {
              id: this.#options.servedModel,
              object: 'model',
              owned_by: 'sglang',
              max_model_len: this.#options.contextLength,
            },
          ],
        });
      case '/v1/completions':
        return this.#generate('completion', request, response, arrivedAt, (body) =>
          read(completionSchema, body, fromCompletion),
        );
      case '/v1/chat/completions':
        return this.#generate('chat', request, response, arrivedAt, (body) =>
          read(chatSchema, body, fromChat),
        );
      case '/generate':
        return this.#generate('generate', request, response, arrivedAt, (body) =>
          read(generateSchema, body, fromGenerate),
        );
      default:
        sendJson(response, 404, { detail: 'Not Found' });
    }
  }

  #serverInfo(): unknown {
    const { running, queued, totals } = this.#scheduler;
    return {
      ...this.#options.record,
      served_model_name: this.#options.servedModel,
      version: 'simulator',
      internal_states: [{ num_running_reqs: running, num_waiting_reqs: queued, ...totals }],
    };
  }

  async #generate(
    api: Api,
    incoming: IncomingMessage,
    response: ServerResponse,
    arrivedAt: number,
    parse: (body: unknown) => GenerateRequest | string,
  ): Promise<void> {
    const request = parse(parseJson(await readBody(incoming)));
    if (typeof request === 'string') return sendError(response, 400, request);
    const { contextLength, servedModel, streamInterval, mode } = this.#options;
    const outputTokens = outputLength(request);
    if (request.promptTokens + request.maxTokens > contextLength) {
      const asked = `${request.promptTokens} input and ${request.maxTokens} output tokens`;
      return sendError(
        response,
        400,
        `Requested token count exceeds the model's maximum context length of ${contextLength} tokens: ${asked}`,
      );
    }
    const closed = new AbortController();
    response.once('close', () => closed.abort());
    const id = randomUUID().replaceAll('-', '');
    const finish = outputTokens < request.maxTokens ? 'stop' : 'length';
    if (mode === 'prefill') return this.#prefill(request, response, arrivedAt, closed.signal, { api, id });
    let begin = arrivedAt;
    if (mode === 'decode') {
      if (!request.bootstrap)
        return sendError(
          response,
          400,
          'a decode worker needs bootstrap_host, bootstrap_port and bootstrap_room',
        );
      try {
        begin = (await awaitPrefill(request.bootstrap, closed.signal)) - performance.timeOrigin;
      } catch (error) {
        if (!closed.signal.aborted)
          sendError(response, 500, error instanceof Error ? error.message : String(error));
        return;
      }
    }
    if (closed.signal.aborted) return;
    const answer = answerTo(api, request, response, {
      model: servedModel,
      id,
      interval: streamInterval,
      outputTokens,
      finish,
    });
    const abort = this.#scheduler.submit(mode === 'decode' ? 'decode' : 'generate', {
      promptTokens: request.promptTokens,
      outputTokens,
      arrivedAt: begin,
      onTokens: (produced, last) => {
        if (produced === 1) this.#noteTtft(performance.now() - arrivedAt);
        answer.progress(produced, last);
      },
    });
    closed.signal.addEventListener('abort', abort, { once: true });
  }

  /** A prefill worker answers its router with one token when the KV cache can be fetched. */
  #prefill(
    request: GenerateRequest,
    response: ServerResponse,
    arrivedAt: number,
    closed: AbortSignal,
    { api, id }: { api: Api; id: string },
  ): void {
    const { servedModel } = this.#options;
    const quiet = { ...request, stream: false };
    const answer = answerTo(api, quiet, response, {
      model: servedModel,
      id,
      interval: 1,
      outputTokens: 1,
      finish: 'length',
    });
    const abort = this.#scheduler.submit('prefill', {
      promptTokens: request.promptTokens,
      outputTokens: 1,
      arrivedAt,
      onTokens: (_produced, _last, dueAt) => {
        if (request.bootstrap)
          this.#bootstrap?.complete(request.bootstrap.room, performance.timeOrigin + dueAt);
        this.#noteTtft(performance.now() - arrivedAt);
        answer.progress(1, true);
      },
    });
    closed.addEventListener('abort', abort, { once: true });
  }

  #noteTtft(ms: number): void {
    this.#ttft.push(ms);
    if (this.#ttft.length > 10_000) this.#ttft.splice(0, 5_000);
  }
}

function read<T>(
  schema: {
    safeParse(
      body: unknown,
    ):
      | { success: true; data: T }
      | { success: false; error: { issues: { path: PropertyKey[]; message: string }[] } };
  },
  body: unknown,
  convert: (value: T) => GenerateRequest,
): GenerateRequest | string {
  const parsed = schema.safeParse(body);
  if (parsed.success) return convert(parsed.data);
  const [issue] = parsed.error.issues;
  return `${issue?.path.join('.') || 'body'}: ${issue?.message}`;
}
