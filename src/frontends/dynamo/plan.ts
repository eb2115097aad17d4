import { stringify } from 'yaml';
import { discoveryEnvironment } from '../../backends/common/discovery.ts';
import {
  dynamoAddresses,
  dynamoEnvironment,
  onOwnAddress,
} from '../../backends/common/dynamo-environment.ts';
import { onUnlessTold } from '../../engine-options/options.ts';
import type { FileSpec, JsonCount } from '../../messages/spec/process-spec.ts';
import type { EndpointMode, EndpointProcess } from '../../model/kinds.ts';
import { recipesOf } from '../../model/recipe-of.ts';
import { PlanError } from '../../os/errors.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';
import { flagsToArgv, optionName } from '../../recipe/values/flags.ts';
import { nginxProcesses } from '../common/nginx.ts';
import { entryOf, placeFrontends } from '../common/placement.ts';
import {
  anyVaries,
  endpointCounts,
  frontendProcess,
  modelAnswers,
  nobodyElse,
  routerEnvironment,
  routerImage,
} from '../common/process.ts';
import type { FrontendContext, FrontendProtocol } from '../common/protocol.ts';
import { natsNeed, notDone, refused } from './runnable.ts';
import { installSteps, installsDynamo } from './steps.ts';

/**
 * At info a frontend writes 3 KB for each request, and releases before 1.0 write a line for each request to
 * /health.
 */
const DYNAMO_LOG = 'info,dynamo_llm::http=warn,http-request=warn,dynamo_runtime::discovery::kv_store=warn';

/** Its frontend and its workers drain for up to 30 s. */
const GRACE_MS = 40_000;

const ON_UNLESS_TOLD = onUnlessTold('dynamo.frontend');

/** Dynamo's frontend: it finds its workers through etcd, and its /health lists those that have registered. */
export const dynamo: FrontendProtocol = {
  type: 'dynamo',
  summary: 'workers register with it',
  workerGraceMs: GRACE_MS,
  notDone,
  refused,
  natsNeed,
  writesImage: installsDynamo,
  steps: installSteps,
  needsEtcd: true,
  takesTokenIds: true,
  entry: entryOf,
  processes(context) {
    const { recipe, runtime, roles } = context;
    const placement = placeFrontends(context);
    const policy = policyFile(context);
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
          ...(policy ? [`--${POLICY_OPTION}`, `${runtime.logDirInside}/${POLICY_FILE}`] : []),
          ...flagsToArgv(recipe.frontend.args, ON_UNLESS_TOLD),
        ],
        env: {
          ...discoveryEnvironment(recipe, runtime, roles),
          ...onOwnAddress('DYN_HTTP_HOST', runtime, node),
          ...dynamoAddresses(recipe, runtime, node),
          ...dynamoEnvironment(recipe, 'frontend'),
          DYN_LOG: DYNAMO_LOG,
          ...routerEnvironment(context, node),
        },
        image: routerImage(context),
        ...(policy ? { files: [policy] } : {}),
        path: '/health',
        expect: registered(context),
        // An instance is registered up to 6 s before its model is listed, because the frontend reads the
        // tokenizer in between.
        steps: modelAnswers(),
        metrics: port,
        graceMs: GRACE_MS,
      }),
    );
    return [...routers, ...nginxProcesses(context, placement, modelAnswers())];
  },
};

const POLICY_OPTION = 'router-policy-config';
const POLICY_VARIABLE = 'DYN_ROUTER_POLICY_CONFIG';
const POLICY_FILE = 'router_policy_config.yaml';

/** The file with the recipe's rules for the choice of workers (ai-dynamo 1.5, docs of --router-policy-config). */
function policyFile({ recipe: { environment, frontend }, runtime }: FrontendContext): FileSpec | undefined {
  const { worker_selection: selection, args, env } = frontend;
  if (selection == null) return undefined;
  const other = [
    ...Object.keys(args).filter((name) => optionName(name) === POLICY_OPTION),
    ...[environment, env].flatMap((variables) => (POLICY_VARIABLE in variables ? [POLICY_VARIABLE] : [])),
  ];
  if (other.length > 0)
    throw new PlanError('two-policies', `the recipe names another policy: ${other.join(', ')}`, {
      place: { file: '', path: 'frontend.worker_selection' },
      hint: 'write one or the other',
    });
  return { path: `${runtime.logDir}/${POLICY_FILE}`, content: stringify({ worker_selection: selection }) };
}

/**
 * The component of a worker's endpoint `generate`. TensorRT-LLM's decode and aggregated workers are
 * `tensorrt_llm` up to Dynamo 1.0, and its prefill workers `tensorrt_llm_next` up to 0.6
 * (dynamo/trtllm/args.py and utils/trtllm_utils.py of 0.5.1, 0.6.1, 0.8.1, 1.0.0 and 1.6.1).
 */
const COMPONENTS: Record<EndpointMode, string[]> = {
  prefill: ['prefill', 'tensorrt_llm_next'],
  decode: ['backend', 'tensorrt_llm'],
  agg: ['backend', 'tensorrt_llm'],
};

/** The keys of an instance's address when it takes requests over TCP. */
const TCP = ['transport', 'tcp'];

/** Each planned worker by its address, and no other instance. */
function registered(context: FrontendContext): JsonCount[] {
  const { recipe, runtime, processes } = context;
  const addressOf = ({ node, ports }: EndpointProcess) => `${runtime.address(node)}:${ports.requests}`;
  const endpoints = endpointCounts(context);
  const mostOf = (mode: EndpointMode, count: number) =>
    context.registers(mode).ranks
      ? processes.filter((process) => process.mode === mode && process.standby === undefined).length
      : count;
  const planned = endpoints.map(({ mode, count, least, varies }): JsonCount => {
    const ranks = processes.filter((process) => process.mode === mode);
    // Of the engines of a worker the one registers that serves now.
    const leaders = ranks.filter(
      ({ ports, rank, standby }) => ports.http > 0 || (standby !== undefined && rank === 0),
    );
    const all = new Set(processes.map(addressOf));
    for (const leader of leaders) all.delete(addressOf(leader));
    const most = mostOf(mode, count);
    return {
      at: ['instances'],
      where: { endpoint: 'generate', component: COMPONENTS[mode] },
      count,
      ...(least < count ? { least } : {}),
      ...varies,
      ...(most > count ? { most } : {}),
      // Over NATS an instance has a subject and no address.
      ...(namesItsAddress(recipe)
        ? {}
        : {
            address: {
              field: TCP,
              among: leaders.map(addressOf),
              ...(all.size > 0 ? { others: [...all] } : {}),
              each: context.registers(mode).each,
            },
          }),
      label: `${mode} workers`,
    };
  });
  const known = {
    field: TCP,
    addresses: namesItsAddress(recipe) ? [] : processes.map(addressOf),
    varies: anyVaries(endpoints),
    most: endpoints.reduce(
      (sum, { mode, count }) => sum + mostOf(mode, count) * context.registers(mode).each,
      0,
    ),
  };
  return [...planned, nobodyElse({ at: ['instances'], where: { endpoint: 'generate' } }, known)];
}

/** Whether the recipe itself sets the workers' request address; then only their number is known. */
const namesItsAddress = (recipe: Recipe): boolean =>
  [
    recipe.environment,
    ...recipesOf(recipe)
      .flatMap(({ backend }) => Object.entries(backend))
      .flatMap(([key, value]) => (/_environment$/.test(key) ? [value] : [])),
  ]
    .flatMap((variables) => Object.keys(variables ?? {}))
    .some((name) => name === 'DYN_TCP_RPC_HOST' || name === 'DYN_TCP_RPC_PORT');
