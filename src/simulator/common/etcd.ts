import * as z from 'zod';
import { connectAtStart, Unreachable } from './startup-connection.ts';

/** The few calls of etcd's v3 API that Dynamo's registry needs, over its JSON gateway. */
/** ETCD_LEASE_TTL of Dynamo 1.6.1: a killed process stays registered for 30 s. */
const LEASE_TTL_S = 30;

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const text = (encoded: string): string => Buffer.from(encoded, 'base64').toString('utf8');

async function call<T>(
  endpoint: string,
  path: string,
  body: unknown,
  schema: z.ZodType<T>,
  timeoutMs = 5_000,
): Promise<T> {
  const response = await fetch(`${endpoint}/v3/${path}`, {
    method: 'POST',
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(timeoutMs),
  });
  const answer: unknown = await response.json();
  if (!response.ok) throw new Error(`etcd ${path}: HTTP ${response.status} ${JSON.stringify(answer)}`);
  return schema.parse(answer);
}

const anything = z.looseObject({});
/** etcd omits the TTL of an expired lease. */
const keepAliveSchema = z.looseObject({ result: z.looseObject({ TTL: z.string().default('0') }) });
/** How long a stopping worker waits for a registry that does not answer. */
const REVOKE_MS = 150;

/** The first address in ETCD_ENDPOINTS. */
export function etcdEndpoint(): string {
  const [first] = (process.env.ETCD_ENDPOINTS ?? 'http://localhost:2379').split(',');
  return (first ?? '').replace(/\/$/, '');
}

/** Resolves when the registry answers. A Dynamo process waits for that when it starts. */
export const reachEtcd = (): Promise<void> =>
  connectAtStart({
    name: 'etcd',
    beforeTheEnd: (says) =>
      process.stderr.write(
        `ERROR dynamo_runtime::distributed: Could not connect to etcd. Pass \`--discovery-backend ..\` to use a different backend or start etcd. err=${says}\n`,
      ),
    connect: async () => {
      const endpoint = etcdEndpoint();
      const answer = await fetch(`${endpoint}/health`, { signal: AbortSignal.timeout(5_000) }).catch(
        () => undefined,
      );
      await answer?.text();
      if (!answer?.ok)
        throw new Unreachable(`Unable to create lease. Check etcd server status at ${endpoint}`);
    },
  });

export interface Registration {
  /** Removes the key from the registry. */
  revoke(): Promise<void>;
}

/**
 * Puts keys that live as long as this process keeps its lease alive. Calls `onLost` when the lease is lost
 * for good.
 */
export async function register(
  endpoint: string,
  entries: readonly (readonly [key: string, value: unknown])[],
  onLost: (error: Error) => void,
): Promise<Registration> {
  const { ID: lease } = await call(
    endpoint,
    'lease/grant',
    { TTL: LEASE_TTL_S },
    z.looseObject({ ID: z.string() }),
  );
  for (const [key, value] of entries)
    await call(
      endpoint,
      'kv/put',
      { key: base64(key), value: base64(JSON.stringify(value)), lease },
      anything,
    );
  let failures = 0;
  const keepAlive = async (): Promise<void> => {
    try {
      const { result } = await call(endpoint, 'lease/keepalive', { ID: lease }, keepAliveSchema);
      if (Number(result.TTL) > 0) failures = 0;
      else onLost(new Error('the lease in etcd is over'));
    } catch (error) {
      if (++failures >= 3) onLost(new Error(`the lease in etcd is lost: ${String(error)}`));
    }
  };
  const timer = setInterval(() => void keepAlive(), (LEASE_TTL_S * 1_000) / 4);
  return {
    async revoke() {
      clearInterval(timer);
      await call(endpoint, 'lease/revoke', { ID: lease }, anything, REVOKE_MS).catch(() => undefined);
    },
  };
}

const rangeSchema = z.looseObject({
  kvs: z.array(z.looseObject({ key: z.string(), value: z.string() })).default([]),
});

/** All values below a prefix, by key. */
export async function listPrefix(endpoint: string, prefix: string): Promise<Map<string, unknown>> {
  const end = `${prefix.slice(0, -1)}${String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)}`;
  const range = { key: base64(prefix), range_end: base64(end) };
  const { kvs } = await call(endpoint, 'kv/range', range, rangeSchema);
  return new Map(kvs.map(({ key, value }) => [text(key), JSON.parse(text(value))]));
}
