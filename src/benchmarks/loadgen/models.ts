import * as z from 'zod';
import type { LoadgenConfig } from './config.ts';
import { describeError } from './request.ts';

const TIMEOUT_MS = 30_000;
/** Models that an error names. */
const NAMED = 5;

const modelsSchema = z.object({ data: z.array(z.object({ id: z.string() })) });

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
  const listed = modelsSchema.safeParse(body).data?.data.map(({ id }) => id) ?? [];
  const [first] = listed;
  if (first === undefined) throw new Error(`${url} names no model (HTTP ${response.status})`);
  if (model === null || listed.includes(model)) return model ?? first;
  if (!mustList && listed.length === 1) {
    process.stdout.write(`warning: ${url} lists "${first}" in place of "${model}": requests are for that\n`);
    return first;
  }
  const others = listed.slice(0, NAMED).join(', ');
  throw new Error(
    `${url} does not list the model of this deployment, "${model}", but ${others}: another server may listen there, or served-model-name is wrong`,
  );
}
