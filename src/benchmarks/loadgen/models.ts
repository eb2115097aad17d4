import * as z from 'zod';
import type { LoadgenConfig } from './config.ts';
import { describeError } from './request.ts';

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
  { url: base, model, mustList }: Pick<LoadgenConfig, 'url' | 'model' | 'mustList'>,
  signal: AbortSignal,
): Promise<string> {
  const url = new URL('/v1/models', base);
  const limit = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
  const response = await fetch(url, { signal: limit }).catch((error: unknown) => {
    signal.throwIfAborted();
    // fetch only reports "fetch failed"; the reason is in its cause.
    throw new Error(`${url}: ${describeError((error as Error).cause ?? error)}`, { cause: error });
  });
  const body = await response.json().catch(() => undefined);
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
  if (first === undefined) throw new Error(`${url} names no model (HTTP ${response.status})`);
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
    `${url} does not list the model of this deployment, "${model}", but ${others}: another server may listen there, or served-model-name is wrong`,
  );
}

const warn = (text: string): void => void process.stdout.write(`warning: ${text}\n`);
