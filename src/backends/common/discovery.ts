import type { JobContext, Roles } from '../../model/kinds.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';
import type { Service } from '../../recipe/schema/services.ts';

/** A service of a kind that a recipe may have once, as it is declared; also one that is not enabled. */
export const declared = (recipe: Pick<Recipe, 'services'>, type: string): Service | undefined =>
  recipe.services?.find((service) => service.type === type);

/**
 * Where etcd and NATS are: in the job, or elsewhere (`external`). Engines and routers always get both, because Dynamo's
 * need them; a service gets those that the job has.
 */
export function discoveryEnvironment(
  recipe: Recipe,
  runtime: JobContext,
  roles: Pick<Roles, 'infra'>,
  whose: 'engines' | 'services' = 'engines',
): Record<string, string> {
  const infra = runtime.host(roles.infra);
  const own = {
    etcd: `http://${infra}:${runtime.infraPorts.etcdClient}`,
    nats: `nats://${infra}:${runtime.infraPorts.nats}`,
  };
  const implied = whose === 'engines' || recipe.frontend.type === 'dynamo';
  const addressOf = (type: 'etcd' | 'nats'): string | undefined => {
    const service = declared(recipe, type);
    if (service) return service.enabled ? (service.external ?? own[type]) : undefined;
    return implied ? own[type] : undefined;
  };
  const [etcd, nats] = [addressOf('etcd'), addressOf('nats')];
  return {
    ...(etcd === undefined ? {} : { ETCD_ENDPOINTS: etcd }),
    ...(nats === undefined ? {} : { NATS_SERVER: nats }),
  };
}
