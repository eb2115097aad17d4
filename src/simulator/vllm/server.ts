import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { hangingClock, pausingClock, systemClock } from '../common/clock.ts';
import { Fatal } from '../common/fatal.ts';
import { faultOn, mayBecomeReady, standsStillItself } from '../common/faults.ts';
import { pathOf, readBody, sendJson, sendText, serve } from '../common/http.ts';
import { Histogram } from '../common/metrics.ts';
import { joinRanks } from '../engine/dist-init.ts';
import type { EngineOptions } from '../engine/engine-options.ts';
import { type GenerateRequest, outputLength } from '../engine/requests.ts';
import { Scheduler } from '../engine/scheduler.ts';
import { sendEngineDead, vllmAnswer } from './answers.ts';
import { EngineCore, OUTLIVES_CORE_MS } from './core.ts';
import { vllmMetrics } from './metrics.ts';
import { type Refusal, readVllmRequest } from './requests.ts';

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

/** `vllm serve`: an HTTP server and its engine core. A rank above 0 has no server and ends with rank 0. */
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
  await sleep(options.loadMs);
  await mayBecomeReady();
  if (options.headless) return;
  // The server listens once the model is loaded; until then it refuses connections.
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
    const allowed = methodsOf(path);
    if (!allowed) return sendJson(response, 404, { detail: 'Not Found' });
    if (!allowed.includes(request.method ?? '')) {
      response.setHeader('allow', allowed.join(', '));
      return sendJson(response, 405, { detail: 'Method Not Allowed' });
    }
    if (api) {
      const isJson = /^application\/json/i.test(request.headers['content-type'] ?? '');
      if (isJson) return this.#generate(api, await readBody(request), response);
      const message = "Unsupported Media Type: Only 'application/json' is allowed";
      return sendError(response, { code: 400, type: 'Bad Request', message, param: null });
    }
    if (path === '/reset_prefix_cache')
      return sendJson(response, 200, { success: this.#scheduler.running + this.#scheduler.queued === 0 });
    this.#inform(path, response);
  };

  #inform(path: string, response: ServerResponse): void {
    const { modelPath, servedModel, contextLength, maxRunning } = this.#options;
    const { running, queued, totals } = this.#scheduler;
    switch (path) {
      case '/health':
      case '/ping':
        response.writeHead(this.#core.dead ? 503 : 200, { 'content-length': 0 }).end();
        return;
      case '/version':
        sendJson(response, 200, { version: '0.32.0' });
        return;
      case '/load':
        sendJson(response, 200, { server_load: 0 });
        return;
      case '/metrics': {
        const figures = { running, queued, maxRunning, ...totals, ttft: this.#ttft };
        sendText(
          response,
          200,
          vllmMetrics(servedModel, figures),
          'text/plain; version=1.0.0; charset=utf-8',
        );
        return;
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
        return;
      }
    }
  }

  async #generate(api: 'completion' | 'chat', text: string, response: ServerResponse): Promise<void> {
    const request = readVllmRequest(api, text, this.#options);
    if ('code' in request) return sendError(response, request);
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

/** The methods of a path; undefined for an unknown path. */
function methodsOf(path: string): readonly string[] | undefined {
  if (GENERATES[path]) return ['POST'];
  if (path === '/ping') return ['GET', 'POST'];
  if (path === '/reset_prefix_cache') return process.env.VLLM_SERVER_DEV_MODE === '1' ? ['POST'] : undefined;
  return ['/health', '/version', '/load', '/metrics', '/v1/models'].includes(path) ? ['GET'] : undefined;
}

const sendError = (response: ServerResponse, { message, type, param, code }: Refusal): void =>
  sendJson(response, code, { error: { message, type, param, code } });

/** Fails as the parser does for any other subcommand. */
export const noSuchCommand = (command: string): Fatal =>
  new Fatal(`vllm: error: argument subparser: invalid choice: '${command}' (choose from 'serve')`, {
    exitCode: 2,
  });
