import type { HttpProbe, ProbeStep } from '../../messages/spec/probe-spec.ts';
import { askHttp } from '../../os/http.ts';
import { countAll, parsed, type Verdict, valueAt } from './count.ts';

/** Characters of a refusal in the message. */
const REFUSAL_CHARS = 200;

type Asked = Pick<ProbeStep, 'path' | 'body'>;

/**
 * Runs the steps one after the other up to the first failure. Later steps may use values from earlier ones.
 */
export async function takeSteps(
  { host, port }: Pick<HttpProbe, 'host' | 'port'>,
  steps: readonly ProbeStep[],
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Verdict> {
  const taken: Record<string, unknown> = {};
  for (const step of steps) {
    let refusal = '';
    for (const asked of [step, ...(step.or ?? [])]) {
      const why = await takeStep({ host, port }, step, asked, taken, step.timeoutMs ?? timeoutMs, signal);
      if (why === undefined) {
        refusal = '';
        break;
      }
      refusal ||= why;
    }
    if (refusal !== '') return { ok: false, detail: `no ${step.label}: ${refusal}` };
  }
  return { ok: true, detail: steps.map(({ label }) => label).join(', ') };
}

/** undefined when the answer is right, else the problem. */
async function takeStep(
  place: Pick<HttpProbe, 'host' | 'port'>,
  { expect, take = {} }: ProbeStep,
  { path, body }: Asked,
  taken: Record<string, unknown>,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const question = { ...place, path, ...(body ? { body: filledIn(body, taken) } : {}) };
    const { status, text } = await askHttp(question, timeoutMs, signal);
    if (status < 200 || status > 299)
      return `${path} answers HTTP ${status} ${text.replaceAll(/\s+/g, ' ').slice(0, REFUSAL_CHARS)}`.trim();
    const counted = expect ? countAll(text, expect) : { ok: true, detail: '' };
    if (!counted.ok) return `${path}: ${counted.detail}`;
    const answer = parsed(text);
    for (const [name, keys] of Object.entries(take)) {
      const value = valueAt(answer, keys);
      if (value === undefined || value === null) return `${path} has no ${keys.join('.')}`;
      taken[name] = value;
    }
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Replaces `{NAME}` in the body by the value with that name. */
const filledIn = (body: Record<string, unknown>, taken: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(body).map(([key, value]) => {
      const [, name] = (typeof value === 'string' && /^\{(\w+)\}$/.exec(value)) || [];
      return [key, name !== undefined && name in taken ? taken[name] : value];
    }),
  );
