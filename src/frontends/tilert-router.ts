import { requireUnset } from '../backends/common/requirements.ts';
import type { EndpointProcess } from '../model/kinds.ts';
import { recipeOf } from '../model/recipe-of.ts';
import { PlanError } from '../os/errors.ts';
import { flagsToArgv } from '../recipe/values/flags.ts';
import { entryOn } from './common/placement.ts';
import { frontendProcess, routerEnvironment, routerImage } from './common/process.ts';
import type { FrontendContext, FrontendProtocol } from './common/protocol.ts';

/** Options that follow from the plan. */
const OWN = ['vllm-url', 'decode', 'host', 'port'];

/**
 * TileRT's router (tile-ai/TileRT at 0ea1937, 0.1.6: tilert/pd_vllm/pd_router.py): one vLLM worker for prefill, and TileRT
 * workers for decode. It lists no models, and streams answers of /v1/chat/completions alone. Its /health is about itself,
 * so it starts when its workers are ready.
 */
export const tilertRouter: FrontendProtocol = {
  type: 'tilert-router',
  summary: 'the TileRT router',
  needsEtcd: false,
  takesTokenIds: false,
  chatAlone: true,
  namedBy: 'prefill',
  entry: (context) => entryOn(context, context.roles.head),
  cannotRun: ({ benchmark }) =>
    benchmark.type === 'sa-bench' && benchmark.use_chat_template === false
      ? [
          {
            path: ['benchmark', 'use_chat_template'],
            text: "is false, and TileRT's router streams answers of /v1/chat/completions alone",
          },
        ]
      : [],
  processes(context) {
    const { recipe, runtime, roles } = context;
    const { prefill, decode } = workersOf(context);
    requireUnset('frontend.args', recipe.frontend.args, OWN);
    const { node, port } = entryOn(context, roles.head);
    const place = ({ node: on, ports }: EndpointProcess) =>
      `${runtime.address(on)}:${ports.nixl}:${ports.http}`;
    return [
      frontendProcess(context, {
        ...{ id: 'frontend-0', role: 'frontend', phase: 'frontend', node, port },
        argv: [
          ...['python', '-m', 'tilert.pd_vllm.pd_router'],
          ...['--vllm-url', `http://${runtime.address(prefill.node)}:${prefill.ports.http}`],
          // One option with all workers: a second one would replace the first.
          ...['--decode', ...decode.map(place)],
          ...['--host', runtime.listenAddress(node), '--port', String(port)],
          ...flagsToArgv(recipe.frontend.args),
        ],
        env: routerEnvironment(context, node),
        image: routerImage(context),
        path: '/health',
      }),
    ];
  },
};

function workersOf({ recipe, processes }: FrontendContext): {
  prefill: EndpointProcess;
  decode: EndpointProcess[];
} {
  const leaders = processes.filter(({ rank }) => rank === 0);
  const [prefill, ...others] = leaders.filter(({ mode }) => mode === 'prefill');
  const decode = leaders.filter(({ mode }) => mode === 'decode');
  if (!prefill || others.length > 0 || decode.length === 0)
    throw wrong('resources.prefill_workers', "TileRT's router has one prefill worker, and decode workers");
  const engineOf = (mode: 'prefill' | 'decode') => recipeOf(recipe, mode).backend.type;
  if (!['vllm', 'tilert'].includes(engineOf('prefill')) || engineOf('decode') !== 'tilert')
    throw wrong(
      'frontend.type',
      "TileRT's router has vLLM workers for prefill and TileRT workers for decode",
    );
  return { prefill, decode };
}

const wrong = (path: string, message: string): PlanError =>
  new PlanError('wrong-frontend', message, { place: { file: '', path } });
