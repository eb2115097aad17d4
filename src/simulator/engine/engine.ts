import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { hangingClock, systemClock } from '../common/clock.ts';
import { faultOn, standsStillItself } from '../common/faults.ts';
import { parseJson, pathOf, readBody, sendError, sendJson, sendText } from '../common/http.ts';
import { prometheus, Rate } from '../common/metrics.ts';
import { answerTo } from './answers.ts';
import { awaitPrefill, type BootstrapServer } from './bootstrap.ts';
import { beginStream, dynamoAnswer } from './dynamo-answers.ts';
import type { EngineOptions } from './engine-options.ts';
import { type Api, type GenerateRequest, outputLength, readRequest } from './requests.ts';
import { Scheduler, type Work } from './scheduler.ts';
import { SglangFigures } from './sglang-figures.ts';

/** A request that was read later than this waited for its client, not for this process. */
const MOST_LATE_MS = 5;

/**
 * SGLang's /health checks for a token this often, and gives up after `mostMs` (health_generate in its
 * srt/entrypoints/http_server.py, 0.5.23). A faster simulation shortens both.
 */
const HEALTH = { everyMs: 1_000, mostMs: 20_000 };
/** How long a stopping engine waits for its requests, ms. */
const DRAINS_MS = 5_000;

const GENERATES: Readonly<Record<string, Api>> = {
  '/v1/completions': 'completion',
  '/v1/chat/completions': 'chat',
  '/generate': 'generate',
};

/** One engine's HTTP API, on the leader. */
export class Engine {
  readonly #options: EngineOptions;
  readonly #bootstrap: BootstrapServer | undefined;
  readonly #scheduler: Scheduler;
  readonly #figures = new SglangFigures();
  readonly #rate: Rate;
  readonly #stands: () => boolean;
  ready = false;
  #drains = false;

  constructor(options: EngineOptions, bootstrap: BootstrapServer | undefined) {
    this.#options = options;
    this.#bootstrap = bootstrap;
    const { speed, maxRunning, hangAfterRequests } = options;
    standsStillItself();
    this.#stands = () =>
      (hangAfterRequests > 0 && this.#scheduler.totals.requests > hangAfterRequests) ||
      faultOn('stall') !== undefined;
    const clock = hangingClock(systemClock, this.#stands);
    this.#scheduler = new Scheduler({ speed, maxRunning, clock, listener: this.#figures });
    this.#rate = new Rate(() => this.#scheduler.totals.generationTokens);
  }

  metrics(): string {
    const { servedModel, maxRunning } = this.#options;
    const { requests } = this.#scheduler.totals;
    const { running, queued, promptTokens, generationTokens, realtime, ttft, itl, active } = this.#figures;
    return prometheus(servedModel, {
      ...{ running, queued, promptTokens, generationTokens, realtime, ttft, itl, active },
      ...{ maxRunning, requests, genThroughput: this.#rate.perSecond },
    });
  }

  /** Turns /health unhealthy. Resolves when no request is left, or after the time limit. */
  async drain(): Promise<void> {
    this.#drains = true;
    const until = performance.now() + this.#soon(DRAINS_MS);
    while (this.#scheduler.running + this.#scheduler.queued > 0 && performance.now() < until) await sleep(20);
  }

  #soon(ms: number): number {
    return Math.min(ms, ms / this.#options.speed);
  }

  /** Asks for a token, and polls until one has come. */
  async #health(response: ServerResponse): Promise<void> {
    const end = performance.now() + this.#soon(HEALTH.mostMs);
    if (this.#options.sglang && this.ready && !this.#drains)
      do await sleep(this.#soon(HEALTH.everyMs));
      while (this.#stands() && performance.now() < end && !response.destroyed);
    const isHealthy = this.ready && !this.#drains && !(this.#options.sglang && this.#stands());
    sendBare(response, isHealthy ? 200 : 503);
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const arrivedAt = performance.now();
    const path = pathOf(request);
    const api = GENERATES[path];
    response.once('close', this.#figures.begun(path));
    if (path === '/metrics') {
      response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' });
      response.end(this.metrics());
    } else if (path === '/health' || path === '/health_generate') await this.#health(response);
    else if (!this.ready) sendError(response, 503, 'the model is not loaded');
    else if (path === '/flush_cache') this.#flush(response);
    else if (!api) inform(response, this.#information(path));
    else if (request.method !== 'POST') {
      response.setHeader('allow', 'POST');
      sendJson(response, 405, { detail: 'Method Not Allowed' });
    } else await this.#generate(api, await readBody(request), response, arrivedAt);
  }

  /** Refuses while requests run or wait, as the real engine does. */
  #flush(response: ServerResponse): void {
    const { running, queued } = this.#scheduler;
    if (running + queued > 0) sendBare(response, 400, 'Flush cache failed.\n');
    else
      sendBare(
        response,
        200,
        'Cache flushed.\nPlease check backend logs for more details. ' +
          '(When there are running or waiting requests, the operation will not be performed.)\n',
      );
  }

  /** The answer to a GET: text, or an object as JSON. */
  #information(path: string): string | object | undefined {
    const { modelPath, servedModel, contextLength, record } = this.#options;
    switch (path) {
      case '/get_server_info':
      case '/server_info': {
        const { running, queued, totals } = this.#scheduler;
        const state = { num_running_reqs: running, num_waiting_reqs: queued, ...totals };
        return {
          ...record,
          served_model_name: servedModel,
          version: 'simulator',
          internal_states: [{ ...state, last_gen_throughput: this.#rate.perSecond }],
        };
      }
      case '/get_model_info':
      case '/model_info':
        return { model_path: modelPath, is_generation: true };
      case '/v1/models': {
        const created = Math.floor(Date.now() / 1_000);
        const model = {
          ...{
            id: servedModel,
            object: 'model',
            created,
            owned_by: 'sglang',
            root: servedModel,
            parent: null,
          },
          max_model_len: contextLength,
        };
        return { object: 'list', data: [model] };
      }
      case '/start_profile':
        return 'Start profiling.\n';
      case '/stop_profile':
        return 'Stop profiling. This will take some time.\n';
    }
    return undefined;
  }

  async #generate(api: Api, text: string, response: ServerResponse, arrivedAt: number): Promise<void> {
    const body = parseJson(text);
    const { sglang } = this.#options;
    const refuse = (message: string, type?: RefusalType): void =>
      sglang ? sendRefusal(response, message, type) : sendError(response, 400, message);
    if (sglang && isEmpty(body)) return refuse('the prompt or the list of messages is empty');
    const request = readRequest(api, body);
    if (typeof request === 'string') return refuse(request, 'Bad Request');
    const tooLong = this.#tooLong(request);
    if (tooLong) return refuse(tooLong);
    const closed = new AbortController();
    response.once('close', () => closed.abort());
    const from = Math.max(arrivedAt, performance.now() - MOST_LATE_MS);
    switch (this.#options.mode) {
      case 'agg':
        return this.#run(request.half ?? 'generate', api, request, response, {
          arrivedAt,
          from,
          signal: closed.signal,
        });
      case 'prefill':
        return this.#run('prefill', api, request, response, { arrivedAt, from, signal: closed.signal });
      case 'decode': {
        const { bootstrap } = request;
        if (!bootstrap)
          return sendError(response, 400, 'Disaggregated request received without bootstrap room id');
        if (this.#options.dynamo && request.stream && api !== 'generate') beginStream(response);
        try {
          const prefilledAt = await awaitPrefill(bootstrap, closed.signal);
          const times = { arrivedAt, from: prefilledAt, signal: closed.signal };
          if (!closed.signal.aborted) this.#run('decode', api, request, response, times);
        } catch (error) {
          if (response.headersSent) response.destroy();
          else if (!closed.signal.aborted) sendError(response, 500, (error as Error).message);
        }
      }
    }
  }

  #tooLong(request: GenerateRequest): string | undefined {
    const { contextLength, mode, oneTokenOfPrefill } = this.#options;
    const { promptTokens } = request;
    const prefill = mode === 'prefill' || request.half === 'prefill';
    const maxTokens = prefill && oneTokenOfPrefill ? 1 : request.maxTokens;
    if (promptTokens + maxTokens <= contextLength) return undefined;
    return (
      `Requested token count exceeds the model's maximum context length of ${contextLength} tokens. ` +
      `You requested a total of ${promptTokens + maxTokens} tokens: ${promptTokens} tokens from the input messages ` +
      `and ${maxTokens} tokens for the completion.`
    );
  }

  /**
   * A prefill worker answers with one token, unstreamed, when its KV cache can be fetched; its router drops
   * the answer.
   */
  #run(
    work: Work,
    api: Api,
    request: GenerateRequest,
    response: ServerResponse,
    { arrivedAt, from, signal }: { arrivedAt: number; from: number; signal: AbortSignal },
  ): void {
    const { servedModel: model, streamInterval, dynamo, sglang } = this.#options;
    const prefill = work === 'prefill';
    const outputTokens = prefill ? 1 : outputLength(request);
    const asked = prefill ? { ...request, stream: false } : request;
    const how = {
      model,
      id: randomUUID().replaceAll('-', ''),
      interval: streamInterval,
      sglang,
      finish: outputTokens < request.maxTokens && !prefill ? 'stop' : 'length',
    } as const;
    const answer =
      dynamo && api !== 'generate'
        ? dynamoAnswer(api, asked, response, how)
        : answerTo(api, asked, response, how);
    let lastAt = 0;
    const abort = this.#scheduler.submit(work, {
      promptTokens: request.promptTokens,
      outputTokens,
      arrivedAt: from,
      onTokens: (produced, last, dueAt) => {
        const now = performance.now();
        if (lastAt === 0) this.#figures.ttft.observe(now - arrivedAt);
        else this.#figures.itl.observe(now - lastAt);
        lastAt = now;
        if (last) {
          // A decode worker computes no prompt.
          const promptTokens = work === 'decode' ? 0 : request.promptTokens;
          this.#figures.ended({ promptTokens, generationTokens: produced });
        }
        if (prefill && request.bootstrap) this.#bootstrap?.complete(request.bootstrap.room, dueAt);
        answer.progress(produced, last);
      },
    });
    signal.addEventListener('abort', abort, { once: true });
  }
}

type RefusalType = 'BadRequestError' | 'Bad Request';

/** SGLang's answer to a refused request; a refusal by its parser is a `Bad Request`. */
const sendRefusal = (
  response: ServerResponse,
  message: string,
  type: RefusalType = 'BadRequestError',
): void => sendJson(response, 400, { object: 'error', message, type, param: null, code: 400 });

/** Whether the body parses but asks for nothing. */
function isEmpty(body: unknown): boolean {
  const { prompt, messages } = (body ?? {}) as { prompt?: unknown; messages?: unknown };
  return [prompt, messages].some((each) => each === '' || (Array.isArray(each) && each.length === 0));
}

/** An answer without a content type, where SGLang sends none. */
function sendBare(response: ServerResponse, status: number, text = ''): void {
  if (response.destroyed) return;
  response.writeHead(status, { 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

function inform(response: ServerResponse, body: string | object | undefined): void {
  if (body === undefined) sendJson(response, 404, { detail: 'Not Found' });
  else if (typeof body === 'string') sendText(response, 200, body);
  else sendJson(response, 200, body);
}
