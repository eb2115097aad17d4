import * as z from 'zod';
import type { LoadgenConfig } from './config.ts';
import { describeError } from './request.ts';

const TIMEOUT_MS = 30_000;
/** Models that an error names. */
const NAMED = 5;

const modelsSchema = z.object({ data: z.array(z.object({ id: z.string() })) });
/** What sglang-router 0.2.0 to 0.2.3 answer. The names of 0.2.0 come from the model's path, not from served-model-name. */
const bareNamesSchema = z.object({ models: z.array(z.string()) });

/**
 * The name of the model for requests. A deployment that does not list the name that the recipe gives is not the one that
 * was planned: another program may listen on its port. A name that only follows from the model's path, the server may
 * have found another one for.
 */
export async function servedModel(
  { url: base, model, mustList }: Pick<LoadgenConfig, 'url' | 'model' | 'mustList'>,
  signal: AbortSignal,
): Promise<string> {
  const url = new URL('/v1/models', base);
  const limit = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
  const response = await fetch(url, { signal: limit }).catch((error: unknown) => {
    signal.throwIfAborted();
    // fetch says "fetch failed"; why is in its cause.
    throw new Error(`${url}: ${describeError((error as Error).cause ?? error)}`, { cause: error });
  });
  const body = await response.json().catch(() => undefined);
  // TensorRT-LLM's disaggregated server has no such path. The probe request shows whether it takes the name.
  if (model !== null && response.status === 404) return model;
  // Routers aware of data parallelism may fail here and serve all the same (smg 1.2.0, vllm-router 0.1.11).
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
