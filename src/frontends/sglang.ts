import type { JsonCount } from '../messages/process-spec.ts';
import { flagsToArgv } from '../recipe/argv.ts';
import { nginxProcesses } from './nginx.ts';
import { entryOf, placeFrontends } from './placement.ts';
import { endpointCounts, frontendProcess, routerEnvironment } from './process.ts';
import type { FrontendContext, FrontendProtocol } from './protocol.ts';

/** SGLang's router: it is told its workers on the command line, and waits for them itself. */
export const sglangRouter: FrontendProtocol = {
  type: 'sglang',
  needsEtcd: false,
  waitsForWorkers: true,
  // Its /v1/completions takes text alone (sglang-router 0.3.2 answers ids with HTTP 422).
  takesTokenIds: false,
  entry: entryOf,
  processes(context) {
    const { recipe, runtime } = context;
    const placement = placeFrontends(context);
    const routers = placement.routers.map(({ node, port }, index) =>
      frontendProcess(context, {
        id: `frontend-${index}`,
        role: 'frontend',
        phase: 'worker',
        node,
        port,
        argv: [
          ...['python3', '-m', 'sglang_router.launch_router'],
          ...workerArguments(context),
          ...['--host', runtime.listenAddress(node), '--port', String(port)],
          ...flagsToArgv(recipe.frontend.args),
        ],
        env: routerEnvironment(context, node),
        image: runtime.image,
        path: '/workers',
        expect: healthy(context),
      }),
    );
    return [...routers, ...nginxProcesses(context, placement)];
  },
};

function workerArguments({ runtime, processes }: FrontendContext): string[] {
  const leaders = processes.filter((process) => process.rank === 0);
  const url = (leader: (typeof leaders)[number]) =>
    `http://${runtime.address(leader.node)}:${leader.ports.http}`;
  const aggregated = leaders.filter((leader) => leader.mode === 'agg');
  if (aggregated.length > 0) return ['--worker-urls', ...aggregated.map(url)];
  return [
    '--pd-disaggregation',
    ...leaders.flatMap((leader) =>
      leader.mode === 'prefill'
        ? [
            '--prefill',
            url(leader),
            ...(leader.ports.bootstrap === null ? [] : [String(leader.ports.bootstrap)]),
          ]
        : [],
    ),
    ...leaders.flatMap((leader) => (leader.mode === 'decode' ? ['--decode', url(leader)] : [])),
  ];
}

/** The router calls workers that do everything "regular". */
function healthy(context: FrontendContext): JsonCount[] {
  return endpointCounts(context).map(({ mode, count, least }) => ({
    at: ['workers'],
    where: { worker_type: mode === 'agg' ? 'regular' : mode, is_healthy: true },
    count,
    ...(least < count ? { least } : {}),
    label: `${mode} workers`,
  }));
}
