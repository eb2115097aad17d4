import { stringify } from 'yaml';
import type { EndpointProcess } from '../model/kinds.ts';
import { PlanError } from '../os/errors.ts';
import { entryOn } from './common/placement.ts';
import { frontendProcess, routerEnvironment, routerImage } from './common/process.ts';
import type { FrontendContext, FrontendProtocol } from './common/protocol.ts';

const CONFIG = 'ser.yaml';

/**
 * TensorRT-LLM's own router. It reads its workers from a file, does not retry missing ones, and is always a
 * single one. An aggregated worker needs no router: it serves the public port itself.
 */
export const trtllmServe: FrontendProtocol = {
  type: 'trtllm_serve',
  summary: 'the TensorRT-LLM orchestrator, or the only aggregated worker itself',
  needsEtcd: false,
  takesTokenIds: true,
  entry: (context) => entryOn(context, aggregated(context)?.node ?? orchestratorNode(context)),
  processes(context) {
    const { recipe, runtime } = context;
    if (aggregated(context)) return [];
    return [
      frontendProcess(context, {
        id: 'frontend-0',
        role: 'frontend',
        phase: 'frontend',
        node: orchestratorNode(context),
        port: entryOn(context, orchestratorNode(context)).port,
        argv: [
          // `--config_file` is the long form; `--config` exists only for workers.
          ...['trtllm-serve', 'disaggregated', '-c', `${runtime.logDirInside}/${CONFIG}`],
          ...timeouts(context),
          ...optionsOf(recipe.frontend.args),
        ],
        env: routerEnvironment(context, orchestratorNode(context)),
        image: routerImage(context),
        path: '/health',
        files: [{ path: `${runtime.logDir}/${CONFIG}`, content: servers(context) }],
      }),
    ];
  },
};

/** Limit for a request, including long prompts in a full queue. */
const REQUEST_TIMEOUT_S = 3_600;

/** Its own limits are 180 s for the start of its servers and for a request (tensorrt_llm/commands/serve.py). */
function timeouts({ recipe: { frontend, health_check } }: FrontendContext): string[] {
  const given = (name: string): boolean => name in frontend.args;
  const start = health_check.interval_seconds * health_check.max_attempts;
  return [
    ...(given('server_start_timeout') ? [] : ['--server_start_timeout', String(start)]),
    ...(given('request_timeout') ? [] : ['--request_timeout', String(REQUEST_TIMEOUT_S)]),
  ];
}

/** The head, or the first decode worker's node when the recipe keeps it off the prefill nodes. */
function orchestratorNode({ recipe, roles, processes }: FrontendContext): string {
  if (recipe.frontend.orchestrator_placement !== 'first_decode') return roles.head;
  return processes.find(({ mode, rank }) => mode === 'decode' && rank === 0)?.node ?? roles.head;
}

/** The only aggregated worker. */
function aggregated({ processes }: FrontendContext): EndpointProcess | undefined {
  const [one, ...more] = processes.filter(({ mode, rank }) => mode === 'agg' && rank === 0);
  if (more.length > 0) {
    throw new PlanError('wrong-frontend', 'trtllm_serve has no router for several aggregated workers', {
      place: { file: '', path: 'resources.agg_workers' },
      hint: 'give it one, or use a dynamo frontend',
    });
  }
  return one;
}

function servers(frontend: FrontendContext): string {
  const { recipe, runtime, processes } = frontend;
  const entry = entryOn(frontend, orchestratorNode(frontend));
  const { ctx_router: context, gen_router: generation, server_config_extra: extra } = recipe.frontend;
  const of = (mode: EndpointProcess['mode']) => {
    const urls = processes
      .filter((process) => process.mode === mode && process.rank === 0)
      .map(({ node, ports }) => `${runtime.address(node)}:${ports.http}`);
    return { num_instances: urls.length, urls };
  };
  return stringify({
    ...extra,
    context_servers: { ...of('prefill'), ...(context ? { router: context } : {}) },
    generation_servers: { ...of('decode'), ...(generation ? { router: generation } : {}) },
    hostname: runtime.listenAddress(entry.node),
    port: entry.port,
  });
}

/** Unlike other routers it spells its options with underscores, so the recipe's spelling stays. */
function optionsOf(args: FrontendContext['recipe']['frontend']['args']): string[] {
  return Object.keys(args)
    .sort()
    .flatMap((name) => {
      const value = args[name] ?? false;
      if (value === false) return [];
      return value === true ? [`--${name}`] : [`--${name}`, String(value)];
    });
}
