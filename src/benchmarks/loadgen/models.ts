import * as z from 'zod';
import { tryJson } from './answer/chunk.ts';
import type { LoadgenConfig } from './config.ts';
import { askClient } from './wire/ask.ts';
import type { WireClient } from './wire/client.ts';

const TIMEOUT_MS = 30_000;
/** Number of models in an error. */
const NAMED = 5;

const modelsSchema = z.object({ data: z.array(z.object({ id: z.string() })) });
/**
 * The answer of sglang-router 0.2.0 to 0.2.3. The names of 0.2.0 come from the model's path, not from
 * served-model-name.
 */
const bareNamesSchema = z.object({ models: z.array(z.string()) });

/**
 * The name of the model for requests. When a deployment does not list the recipe's name, it is not the
 * planned one: another program may listen on its port. For a name that is only derived from the model's path,
 * the server may use another one.
 */
export async function servedModel(
  client: WireClient,
  { url: base, model, mustList }: Pick<LoadgenConfig, 'url' | 'model' | 'mustList'>,
  signal: AbortSignal,
): Promise<string> {
  const url = `${base.replace(/\/+$/, '')}/v1/models`;
  const response = await askClient(client, '/v1/models', TIMEOUT_MS).catch((error: unknown) => {
    signal.throwIfAborted();
    throw new Error(`${url}: ${(error as Error).message}`);
  });
  const body = tryJson(response.text);
  // TensorRT-LLM's disaggregated server lacks this path. The probe request shows whether it accepts the name.
  if (model !== null && response.status === 404) return model;
  // Routers aware of data parallelism may fail here although they serve (smg 1.2.0, vllm-router 0.1.11).
  if (model !== null && response.status >= 500) {
    warn(`${url} answers HTTP ${response.status}: requests are for "${model}", which was not looked up`);
    return model;
  }
  const bareNames = bareNamesSchema.safeParse(body).data?.models;
  const listed = bareNames ?? modelsSchema.safeParse(body).data?.data.map(({ id }) => id) ?? [];
  const [first] = listed;
  if (first === undefined)
    throw new Error(`${url} names no model (HTTP ${response.status}${hintFor(response.status)})`);
  if (model === null && mustList && listed.length > 1)
    throw new Error(
      `${url} lists several models, ${listed.slice(0, NAMED).join(', ')}: name the one to measure (--model)`,
    );
  if (model === null && listed.length > 1)
    warn(
      `${url} lists ${listed.length} models, and the recipe names none: requests are for the first, "${first}"`,
    );
  if (model === null || listed.includes(model)) return model ?? first;
  if (bareNames) {
    warn(
      `${url} lists "${first}" in place of "${model}", as sglang-router 0.2.0 does: requests are for "${model}"`,
    );
    return model;
  }
  if (!mustList && listed.length === 1) {
    warn(`${url} lists "${first}" in place of "${model}": requests are for that`);
    return first;
  }
  const others = listed.slice(0, NAMED).join(', ');
  throw new Error(
    `${url} does not list the model of this deployment, "${model}", but ${others}: another server may listen there, or served-model-name (--model of srtctl bench) is wrong`,
  );
}

/** What to do about an answer that names no model. */
function hintFor(status: number): string {
  if (status === 401 || status === 403)
    return ': the server wants a key, see api_key_env, or --api-key-env of srtctl bench';
  return status === 404 ? ': name the model (served-model-name, or --model of srtctl bench)' : '';
}

const warn = (text: string): void => void process.stdout.write(`warning: ${text}\n`);
