import type { IncomingMessage, ServerResponse } from 'node:http';
import { hangingClock, pausingClock, systemClock } from './clock.ts';
import { joinRanks } from './dist-init.ts';
import type { EngineOptions } from './engine-options.ts';
import { Fatal } from './fatal.ts';
import { faultOn, mayBecomeReady, standsStillItself } from './faults.ts';
import { parseJson, pathOf, readBody, sendJson, sendText, serve } from './http.ts';
import { Histogram } from './metrics.ts';
import { type GenerateRequest, outputLength, readRequest } from './requests.ts';
import { Scheduler } from './scheduler.ts';
import { sendEngineDead, vllmAnswer } from './vllm-answers.ts';
import { EngineCore, OUTLIVES_CORE_MS } from './vllm-core.ts';
import { vllmMetrics } from './vllm-metrics.ts';

const GENERATES: Readonly<Record<string, 'completion' | 'chat'>> = {
  '/v1/completions': 'completion',
  '/v1/chat/completions': 'chat',
};

const say = (text: string): void => {
  const at = new Date().toISOString();
  process.stdout.write(
    `(APIServer pid=${process.pid}) INFO ${at.slice(5, 10)} ${at.slice(11, 19)} [api_server.py:1] ${text}\n`,
  );
};

/** `vllm serve`: an HTTP server and its engine core. A rank above 0 serves nothing and ends with the first. */
export async function runVllm(options: EngineOptions & { readonly headless: boolean }): Promise<void> {
  say(`non-default args: ${JSON.stringify(options.record)}`);
  let server: VllmServer | undefined;
  const core = new EngineCore(() => server?.coreDied());
  process.on('exit', () => core.end());
  process.on('SIGTERM', () => {
    say('Shutting down');
    process.exit(0);
  });
  process.on('SIGINT', () => process.exit(0));
  const lost = (error: Error): void => {
    process.stderr.write(`(EngineCore pid=${process.pid}) ERROR ${error.message}\n`);
    process.exit(1);
  };
  await joinRanks(options, lost);
  say(`Starting to load model ${options.modelPath}...`);
  await new Promise((resolve) => setTimeout(resolve, options.loadMs));
  await mayBecomeReady();
  if (options.headless) return;
  // It listens from the start of its server on, which is when the model is loaded: until then a connection is refused.
  server = new VllmServer(options, core);
  const { handle } = server;
  await serve(options.host, options.port, (request, response) => handle(request, response));
  say(`Starting vLLM server on http://${options.host}:${options.port}`);
  say('Application startup complete.');
}

class VllmServer {
  readonly #options: EngineOptions;
  readonly #core: EngineCore;
  readonly #scheduler: Scheduler;
  readonly #ttft = new Histogram();
  readonly #open = new Set<() => void>();

  constructor(options: EngineOptions, core: EngineCore) {
    this.#options = options;
    this.#core = core;
    const { speed, maxRunning, hangAfterRequests } = options;
    standsStillItself();
    const stands = () =>
      (hangAfterRequests > 0 && this.#scheduler.totals.requests > hangAfterRequests) ||
      faultOn('stall') !== undefined;
    const clock = hangingClock(
      pausingClock(systemClock, () => core.stands),
      stands,
    );
    this.#scheduler = new Scheduler({ speed, maxRunning, clock });
  }

  coreDied(): void {
    process.stderr.write(
      `(APIServer pid=${process.pid}) ERROR [core_client.py:1] Engine core proc EngineCore_DP0 died unexpectedly, shutting down client.\n`,
    );
    for (const fail of this.#open) fail();
    setTimeout(() => process.exit(0), OUTLIVES_CORE_MS);
  }

  readonly handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = pathOf(request);
    const api = GENERATES[path];
    const { method } = request;
    if (api) {
      if (method !== 'POST') return sendError(response, 405, 'Method Not Allowed', 'Method Not Allowed');
      const isJson = /^application\/json/i.test(request.headers['content-type'] ?? '');
      if (!isJson) return sendInvalid(response, "Unsupported Media Type: Only 'application/json' is allowed");
      return this.#generate(api, await readBody(request), response);
    }
    if (path === '/reset_prefix_cache' && process.env.VLLM_SERVER_DEV_MODE === '1') {
      if (method !== 'POST') return sendError(response, 405, 'Method Not Allowed', 'Method Not Allowed');
      return sendJson(response, 200, { success: this.#scheduler.running + this.#scheduler.queued === 0 });
    }
    if (method !== 'GET' || !this.#inform(path, response)) sendError(response, 404, 'Not Found', 'Not Found');
  };

  #inform(path: string, response: ServerResponse): boolean {
    const { modelPath, servedModel, contextLength, maxRunning } = this.#options;
    const { running, queued, totals } = this.#scheduler;
    switch (path) {
      case '/health':
        sendText(response, this.#core.dead ? 503 : 200, '');
        return true;
      case '/version':
        sendJson(response, 200, { version: '0.32.0' });
        return true;
      case '/load':
        sendJson(response, 200, { server_load: 0 });
        return true;
      case '/metrics': {
        const figures = { running, queued, maxRunning, ...totals, ttft: this.#ttft };
        sendText(
          response,
          200,
          vllmMetrics(servedModel, figures),
          'text/plain; version=0.0.4; charset=utf-8',
        );
        return true;
      }
      case '/v1/models': {
        const created = Math.floor(Date.now() / 1_000);
        const permission = {
          ...{ id: 'modelperm-1', object: 'model_permission', created, allow_create_engine: false },
          ...{ allow_sampling: true, allow_logprobs: true, allow_search_indices: false, allow_view: true },
          ...{ allow_fine_tuning: false, organization: '*', group: null, is_blocking: false },
        };
        const model = {
          ...{ id: servedModel, object: 'model', created, owned_by: 'vllm', root: modelPath, parent: null },
          ...{ max_model_len: contextLength, permission: [permission] },
        };
        sendJson(response, 200, { object: 'list', data: [model] });
        return true;
      }
    }
    return false;
  }

  async #generate(api: 'completion' | 'chat', text: string, response: ServerResponse): Promise<void> {
    const body = parseJson(text);
    if (body === undefined) return sendInvalid(response, 'JSON decode error');
    const request = readRequest(api, body);
    if (typeof request === 'string') return sendInvalid(response, request);
    const { model } = body as { model?: string };
    const { servedModel, contextLength } = this.#options;
    if (model !== undefined && model !== null && model !== servedModel)
      return sendError(response, 404, 'NotFoundError', `The model \`${model}\` does not exist.`, 'model');
    const tooLong = tooLongFor(request, contextLength);
    if (tooLong) return sendError(response, 400, 'BadRequestError', tooLong, 'input_tokens');
    if (this.#core.dead) return sendEngineDead(response);
    this.#run(api, request, response);
  }

  #run(api: 'completion' | 'chat', request: GenerateRequest, response: ServerResponse): void {
    const arrivedAt = performance.now();
    const { servedModel: model, streamInterval: interval } = this.#options;
    const outputTokens = outputLength(request);
    const finish = outputTokens < request.maxTokens ? 'stop' : 'length';
    const answer = vllmAnswer(api, request, response, { model, interval, finish });
    const fail = (): void => answer.fail();
    this.#open.add(fail);
    const abort = this.#scheduler.submit('generate', {
      promptTokens: request.promptTokens,
      outputTokens,
      arrivedAt,
      onTokens: (produced, last) => {
        if (produced === 1) this.#ttft.observe(performance.now() - arrivedAt);
        answer.progress(produced, last);
        if (last) this.#open.delete(fail);
      },
    });
    response.once('close', () => {
      this.#open.delete(fail);
      abort();
    });
  }
}

function tooLongFor({ promptTokens, maxTokens }: GenerateRequest, most: number): string | undefined {
  if (promptTokens + maxTokens <= most) return undefined;
  const room = most - maxTokens;
  return promptTokens >= most
    ? `This model's maximum context length is ${most} tokens. However, your prompt contains ${promptTokens} input tokens, which exceeds this limit even without any output tokens. Please reduce the length of the input prompt.`
    : `This model's maximum context length is ${most} tokens. However, you requested ${maxTokens} output tokens and your prompt contains ${promptTokens} input tokens, for a total of ${promptTokens + maxTokens} tokens. Please reduce the length of the input prompt or the number of requested output tokens (at most ${room} input tokens).`;
}

const sendInvalid = (response: ServerResponse, message: string): void =>
  sendError(response, 400, 'Bad Request', message);

function sendError(
  response: ServerResponse,
  code: number,
  type: string,
  message: string,
  param: string | null = null,
): void {
  sendJson(response, code, { error: { message, type, param, code } });
}

/** For the parser of other subcommands. */
export const noSuchCommand = (command: string): Fatal =>
  new Fatal(`vllm: error: argument subparser: invalid choice: '${command}' (choose from 'serve')`, {
    exitCode: 2,
  });
