import type { JsonCount } from '../messages/process-spec.ts';
import { flagsToArgv } from '../recipe/argv.ts';
import { dynamoEnvironment } from '../recipe/dynamo-environment.ts';
import { nginxProcesses } from './nginx.ts';
import { entryOf, placeFrontends } from './placement.ts';
import { endpointCounts, frontendProcess, routerEnvironment } from './process.ts';
import type { FrontendContext, FrontendProtocol } from './protocol.ts';

/** Dynamo's frontend: it learns of its workers from etcd, and its /health says which of them have registered. */
export const dynamo: FrontendProtocol = {
  type: 'dynamo',
  needsEtcd: true,
  waitsForWorkers: false,
  takesTokenIds: true,
  entry: entryOf,
  processes(context) {
    const { recipe, runtime, roles } = context;
    const placement = placeFrontends(context);
    const infra = runtime.host(roles.infra);
    const routers = placement.routers.map(({ node, port }, index) =>
      frontendProcess(context, {
        id: `frontend-${index}`,
        role: 'frontend',
        phase: 'frontend',
        node,
        port,
        argv: [
          'python3',
          '-m',
          'dynamo.frontend',
          `--http-port=${port}`,
          ...flagsToArgv(recipe.frontend.args),
        ],
        env: {
          ETCD_ENDPOINTS: `http://${infra}:${runtime.infraPorts.etcdClient}`,
          NATS_SERVER: `nats://${infra}:${runtime.infraPorts.nats}`,
          ...dynamoEnvironment(recipe, 'frontend'),
          ...routerEnvironment(context, node),
        },
        image: runtime.image,
        path: '/health',
        expect: registered(context),
      }),
    );
    return [...routers, ...nginxProcesses(context, placement)];
  },
};

/** Workers that generate register as "prefill" or, decoding and aggregated ones alike, as "backend". */
function registered(context: FrontendContext): JsonCount[] {
  return endpointCounts(context).map(({ mode, count, least }) => ({
    at: ['instances'],
    where: { endpoint: 'generate', component: mode === 'prefill' ? 'prefill' : 'backend' },
    count,
    ...(least < count ? { least } : {}),
    label: `${mode} workers`,
  }));
}
