import { requireUnset } from '../backends/common/requirements.ts';
import { backendFor } from '../backends/index.ts';
import { type Flags, flagsToArgv, optionName } from '../recipe/values/flags.ts';
import { entryOf, placeFrontends } from './common/placement.ts';
import { frontendProcess, routerEnvironment, routerImage } from './common/process.ts';
import type { FrontendContext, FrontendProtocol } from './common/protocol.ts';

/** Options that follow from the plan. */
const OWN = ['worker-urls', 'host', 'port'];

/**
 * SGLang's standalone router in Rust (sgl-project/sglang, experimental/sgl-router, README at 48decaa), which is another
 * program than the model gateway. It asks each worker's /server_info for its mode, so one list has them all. Its /readyz
 * is 200 as soon as it has one worker, so it starts when all are ready. It has no /v1/completions (README at 0347335).
 */
export const sglRouter: FrontendProtocol = {
  type: 'sgl-router',
  summary: "SGLang's standalone router",
  engines: { sglang: 'all' },
  needsEtcd: false,
  takesTokenIds: false,
  chatAlone: true,
  entry: entryOf,
  processes(context) {
    const { recipe, runtime } = context;
    requireUnset('frontend.args', recipe.frontend.args, OWN);
    const { routers } = placeFrontends(context);
    return routers.slice(0, 1).map(({ node, port }) =>
      frontendProcess(context, {
        ...{ id: 'frontend-0', role: 'frontend', phase: 'frontend', node, port },
        argv: [
          ...['sgl-router', '--worker-urls', ...urlsOf(context)],
          ...['--host', runtime.listenAddress(node), '--port', String(port)],
          ...flagsToArgv({ ...modelOf(context), ...recipe.frontend.args }),
        ],
        env: routerEnvironment(context, node),
        image: routerImage(context),
        path: '/readyz',
      }),
    );
  },
};

const urlsOf = ({ runtime, processes }: FrontendContext): string[] =>
  processes
    .filter(({ rank }) => rank === 0)
    .map(({ node, ports }) => `http://${runtime.address(node)}:${ports.http}`);

/** The model's name, and its tokenizer: a file, or an id on the hub. A recipe may name others. */
function modelOf({ recipe, runtime }: FrontendContext): Flags {
  const given = new Set(Object.keys(recipe.frontend.args).map(optionName));
  const path = runtime.modelPathInside;
  const tokenizer = path.startsWith('/') ? `${path}/tokenizer.json` : path;
  return {
    ...(given.has('model-id')
      ? {}
      : { 'model-id': backendFor('sglang')?.servedModel(recipe, runtime).name ?? '' }),
    ...(given.has('tokenizer-path') ? {} : { 'tokenizer-path': tokenizer }),
  };
}
