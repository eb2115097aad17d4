import type { DeployPhase } from '../../messages/spec/deploy-phases.ts';
import type { ProcessSpec } from '../../messages/spec/process-spec.ts';
import { endingProcess } from '../../model/ending-process.ts';
import { shellQuote } from '../../os/quote.ts';
import type { Service } from '../../recipe/schema/services.ts';
import { filled, placeholdersOf } from './placeholders.ts';
import type { InstanceContext } from './protocol.ts';

const FETCH_TIMEOUT_MS = 600_000;

/** Directory of a service's repository, as agents see it, or as its own process does. */
const repositoryOf = ({ name }: Service, logDir: string): string => `${logDir}/services/${name}/src`;

/** The directory in which a service is built and runs; undefined for one without a repository. Simulated jobs fetch none. */
export function directoryOf({ runtime, service }: InstanceContext): string | undefined {
  if (service.source == null || !runtime.realEngines) return undefined;
  const { path } = service.source;
  const logs = runtime.containers ? runtime.logDirInside : runtime.logDir;
  return `${repositoryOf(service, logs)}${path == null ? '' : `/${path}`}`;
}

/** What has to be done before a service with a repository starts: fetch it, and build it where its command runs. */
export function sourceSteps(context: InstanceContext, id: string, image: string | null): ProcessSpec[] {
  const { runtime, service } = context;
  const { source, build_command: build } = service;
  const cwd = directoryOf(context);
  if (source == null || cwd === undefined) return [];
  const values = placeholdersOf(context);
  const fetch = step(context, `fetch-${id}`, 'fetch', {
    argv: [
      ...['bash', `${runtime.distDir}/steps/fetch-source.sh`, source.git, source.sha ?? source.rev],
      repositoryOf(service, runtime.logDir),
    ],
    image: null,
    endTimeoutMs: FETCH_TIMEOUT_MS,
  });
  // In a container of its own a service builds itself, because nothing of another one is left.
  if (build == null || buildsItself(context, image)) return [fetch];
  return [
    fetch,
    step(context, `build-${id}`, 'install', {
      argv: build.map((word) => filled(word, values)),
      ...{ cwd, image, endTimeoutMs: service.build_timeout_seconds * 1000 },
    }),
  ];
}

const buildsItself = ({ runtime }: InstanceContext, image: string | null): boolean =>
  runtime.containerPerProcess && image !== null;

/** Shell commands that build a service before it starts, where it builds itself. */
export function ownBuild(context: InstanceContext, image: string | null): string | null {
  const { build_command: build, build_timeout_seconds: seconds } = context.service;
  if (build == null || directoryOf(context) === undefined || !buildsItself(context, image)) return null;
  const values = placeholdersOf(context);
  return `timeout ${seconds} ${build.map((word) => shellQuote(filled(word, values))).join(' ')} || exit`;
}

function step(
  { runtime, service, instance: { node } }: InstanceContext,
  id: string,
  phase: DeployPhase,
  own: Pick<ProcessSpec, 'argv' | 'image' | 'endTimeoutMs'> & Partial<Pick<ProcessSpec, 'cwd'>>,
): ProcessSpec {
  return endingProcess({
    ...{ id, role: 'step', phase, node },
    env: { ...runtime.gitEnvironment, ...service.env },
    logFile: `${runtime.logDir}/${id.replace(/^(fetch|build)-service-(.*)-\d+$/, 'service_$2_$1')}.out`,
    ...own,
  });
}
