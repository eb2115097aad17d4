import { WireClient } from '../wire/client.ts';
import { targetOf } from '../wire/target.ts';
import type { RequestSettings } from './settings.ts';

/**
 * A client of the frontend, with the config's headers and the API key.
 * @throws Error when the key is not in the environment, or the frontend's name has no address
 */
export async function clientOf({
  url,
  caFile,
  reuseConnections,
  headers,
  apiKeyEnv,
}: Pick<
  RequestSettings,
  'url' | 'caFile' | 'reuseConnections' | 'headers' | 'apiKeyEnv'
>): Promise<WireClient> {
  return new WireClient({
    target: await targetOf(url, caFile),
    keepsConnections: reuseConnections,
    headers: { ...headers, ...(apiKeyEnv === null ? {} : { authorization: `Bearer ${keyIn(apiKeyEnv)}` }) },
  });
}

/** It is read here alone, so that it is in no file, result or command line. */
function keyIn(variable: string): string {
  const key = process.env[variable]?.trim();
  if (!key) throw new Error(`the variable ${variable}, which benchmark.api_key_env names, is not set`);
  return key;
}
