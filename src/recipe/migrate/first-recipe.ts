import { isPlain, type Plain } from '../values/merge.ts';
import type { Role } from './taken.ts';

export function valueAt(value: Plain, ...path: readonly string[]): unknown {
  return path.reduce<unknown>((at, key) => (isPlain(at) ? at[key] : undefined), value);
}

export const engineTypeOf = (recipe: Plain): string => String(valueAt(recipe, 'backend', 'type') ?? 'sglang');

/** Keys of `backend` that stay with the engine. */
export const knobsOf = ({ backend }: Plain): string[] =>
  isPlain(backend)
    ? Object.keys(backend).filter(
        (key) =>
          !/^(type|(prefill|decode|aggregated)_(environment|extra_args)|\w+_config|mooncake_kv_store)$/.test(
            key,
          ),
      )
    : [];

export function hasRole({ resources }: Plain, role: Role): boolean {
  if (!isPlain(resources)) return false;
  const { [`${role}_workers`]: workers, [`${role}_nodes`]: nodes } = resources;
  return workers !== undefined && workers !== null ? workers !== 0 : Boolean(nodes);
}

/** One value for all variants of a zip_override, or a list with one for each. */
export function spread(values: readonly unknown[]): unknown {
  const [first, ...others] = values;
  const isSame = others.every((each) => JSON.stringify(each) === JSON.stringify(first));
  if (!isSame) return [...values];
  return Array.isArray(first) ? [first] : first;
}

type SourceName = (typeof SOURCE)[number];
export const SOURCE = ['pypi', 'wheel', 'git', 'rev', 'patches'] as const;
export const FIRST_NAMES: Readonly<Record<SourceName, string>> = {
  ...{ pypi: 'version', wheel: 'wheel', git: 'git', rev: 'hash', patches: 'cargo_patches' },
};

/** The one source of Dynamo that counts in the first layout; undefined when the second layout cannot say it. */
export function sourceOf(dynamo: Plain): Partial<Record<SourceName, unknown>> | undefined {
  const { version, wheel, hash, git, cargo_patches: patches, top_of_tree: newest } = dynamo;
  if (hash != null)
    return { ...(git == null ? {} : { git }), rev: hash, ...(patches == null ? {} : { patches }) };
  if (newest) return patches == null ? {} : undefined;
  if (wheel != null) return { wheel };
  return version == null ? {} : { pypi: version };
}

/** Why `infra` cannot be said with services. */
export function infraReason(recipe: Plain): string | undefined {
  const { infra, frontend } = recipe;
  if (!isPlain(infra)) return undefined;
  if (typeof infra.etcd_nats_dedicated_node === 'string')
    return 'takes a parameter of the sweep, but the second layout has no such switch';
  const router = isPlain(frontend) ? (frontend.type ?? 'dynamo') : 'dynamo';
  if (infra.etcd_nats_dedicated_node === true && router !== 'dynamo')
    return `sets a node aside for etcd and NATS, which ${String(router)} does not use: the second layout has no way to say this`;
  return undefined;
}

/** `infra` and `mooncake_kv_store` as services. */
export function servicesOf(recipe: Plain): Plain[] {
  const { infra, backend, frontend } = recipe;
  const services: Plain[] = [];
  const router = isPlain(frontend) ? (frontend.type ?? 'dynamo') : 'dynamo';
  if (isPlain(infra) && router === 'dynamo') {
    const { etcd_nats_dedicated_node: dedicated, nats_max_payload_mb: payload } = infra;
    const placement = dedicated === true ? { placement: { node: 'dedicated' } } : {};
    if (dedicated === true) services.push({ name: 'etcd', type: 'etcd', ...placement });
    if (dedicated === true || payload != null)
      services.push({
        ...{ name: 'nats', type: 'nats', ...placement },
        ...(payload == null ? {} : { options: { max_payload_mb: payload } }),
      });
  }
  const store = isPlain(backend) ? backend.mooncake_kv_store : undefined;
  if (isPlain(store)) {
    const { container, master_extra_args: args, store_config: config } = store;
    services.push({
      ...{ name: 'mooncake-master', type: 'mooncake-master' },
      ...(container == null ? {} : { container }),
      ...(args == null ? {} : { args }),
      ...(config == null ? {} : { options: { store_config: config } }),
    });
  }
  return services;
}
