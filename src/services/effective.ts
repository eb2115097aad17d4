import { mooncakeOf } from '../backends/common/mooncake.ts';
import { usesLmcacheServer } from '../backends/vllm/connector.ts';
import { frontendFor } from '../frontends/index.ts';
import type { EndpointMode } from '../messages/spec/process-spec.ts';
import { modesOf, recipeOf } from '../model/recipe-of.ts';
import type { Recipe } from '../recipe/schema/schema.ts';
import { type Service, serviceSchemaOf } from '../recipe/schema/services.ts';
import { serviceKinds } from './index.ts';

/** A service that a job has. */
export interface EffectiveService {
  readonly service: Service;
  /** The part of the recipe that asks for it without an entry of its own; null: it is declared. */
  readonly impliedBy: string | null;
  /** Its place in `services`; null: it is implied. */
  readonly at: number | null;
}

const schema = serviceSchemaOf(serviceKinds);

/** The services of a recipe: implied ones, then declared ones in their order. A declared one replaces the implied one. */
export function effectiveServices(recipe: Recipe): EffectiveService[] {
  const declared = (recipe.services ?? []).map((service, at) => ({ service, impliedBy: null, at }));
  const isDeclared = ({ type, name }: Service): boolean =>
    declared.some(({ service }) => service.name === name || service.type === type);
  const implied = impliedServices(recipe).filter(({ service }) => !isDeclared(service));
  return [...implied, ...declared.filter(({ service }) => service.enabled)];
}

/** Whether the job has an etcd of its own. */
export const runsEtcd = (recipe: Recipe): boolean =>
  effectiveServices(recipe).some(({ service }) => service.type === 'etcd' && service.external == null);

/** Whether anything in the job uses etcd or NATS of its own. */
export const usesRegistries = (recipe: Recipe): boolean =>
  frontendFor(recipe.frontend.type)?.needsEtcd === true ||
  effectiveServices(recipe).some(
    ({ service }) => ['etcd', 'nats'].includes(service.type) && service.external == null,
  );

function impliedServices(recipe: Recipe): EffectiveService[] {
  const { frontend, backend } = recipe;
  const implied = (
    impliedBy: string,
    given: Partial<Service> & Pick<Service, 'name' | 'type'>,
  ): EffectiveService => ({
    service: schema.parse(given),
    impliedBy,
    at: null,
  });
  const master = 'mooncake_kv_store' in backend ? mooncakeOf(recipe) : null;
  return [
    ...(frontendFor(frontend.type)?.needsEtcd
      ? [implied(`frontend.type: ${frontend.type}`, { name: 'etcd', type: 'etcd' })]
      : []),
    ...(master
      ? [
          implied('mooncake_kv_store', {
            ...{ name: 'mooncake-master', type: 'mooncake-master' },
            args: [...master.master_extra_args],
            ...(master.container == null ? {} : { container: master.container }),
          }),
        ]
      : []),
    ...lmcacheServers(recipe).map(({ modes, by }) =>
      implied(by, {
        ...{ name: 'lmcache-server', type: 'lmcache-server' },
        placement: { node: modes.length === 1 && modes[0] ? modes[0] : 'workers' },
      }),
    ),
    ...(frontend.type === 'llm-d' && (recipe.resources.prefill_workers ?? 0) > 0
      ? [
          implied('frontend.type: llm-d', {
            ...{ name: 'llm-d-sidecar', type: 'llm-d-sidecar', inherit_discovery_env: false },
          }),
        ]
      : []),
    ...('failover' in backend && backend.failover != null
      ? [implied('engine.failover', { name: 'gms', type: 'gms' })]
      : []),
  ];
}

/** vLLM workers with the connector lmcache-mp share LMCache's server on their node. */
function lmcacheServers(recipe: Recipe): { modes: EndpointMode[]; by: string }[] {
  const modes = modesOf(recipe).filter((mode) => usesLmcacheServer(recipeOf(recipe, mode), mode));
  return modes.length === 0 ? [] : [{ modes, by: `connector lmcache-mp of ${modes.join(' and ')}` }];
}
