import { Histogram, type PlainHistogram } from '../statistics/histogram.ts';
import type { Measured } from './measured.ts';

/** Number of distinct errors in a result. */
const ERRORS = 5;

/** An answer of so many tokens, each within so many ms of the one before, was held back and then sent in one piece. */
const AT_ONCE = { tokens: 16, msPerToken: 0.05 } as const;

const COUNTS = {
  requests: 0,
  completed: 0,
  failed: 0,
  inputTokens: 0,
  outputTokens: 0,
  askedOutputTokens: 0,
  chunks: 0,
  /** Answers whose usage has fewer tokens than asked; failed requests may be among them. */
  endedEarly: 0,
  /** Completed without usage, and without any other proof of the counts. */
  withoutUsage: 0,
  contradicting: 0,
  otherModel: 0,
  /** Answers whose tokens came faster than any engine makes them. */
  atOnce: 0,
  /** Requests of known prompt length whose usage states one, and both sums. */
  comparedPrompts: 0,
  knownPromptTokens: 0,
  statedPromptTokens: 0,
};
type Counts = typeof COUNTS;

/** The first of each kind, for the text of a problem. */
interface Examples {
  readonly endedEarly?: string | undefined;
  readonly contradicting?: string | undefined;
  readonly otherModel?: string | undefined;
}

export interface PlainEvidence {
  readonly counts: Counts;
  readonly errors: readonly string[];
  readonly examples: Examples;
  readonly lagMs: PlainHistogram;
  readonly sent: readonly [intendedFrom: number, intendedTo: number, from: number, to: number] | null;
}

/** What requests have to be compared with. */
export interface Expected {
  /** The model of all requests; null: the answer may name any. */
  readonly model: string | null;
}

/** Counts what speaks for or against the figures of one concurrency, request by request. */
export class Evidence {
  readonly #expected: Expected;
  readonly #errors: string[] = [];
  readonly #lagMs = new Histogram();
  #counts: Counts = { ...COUNTS };
  #examples: Examples = {};
  #sent: PlainEvidence['sent'] = null;

  constructor(expected: Expected) {
    this.#expected = expected;
  }

  add(one: Measured): void {
    const counts = this.#counts;
    counts.requests++;
    this.#addError(one.error);
    if (one.error === null || one.status > 0) {
      this.#lagMs.add(Math.max(one.queuedMs - one.connectMs - (one.heldMs ?? 0), 0));
      this.#addSent([one.intendedAt, one.intendedAt, one.startedAt, one.startedAt]);
    }
    const { asked, usage } = one;
    if (usage && usage.completionTokens < asked.outputTokens)
      this.#addEarly(usage.completionTokens, asked.outputTokens);
    if (one.error !== null) {
      counts.failed++;
      return;
    }
    counts.completed++;
    counts.inputTokens += one.inputTokens;
    counts.outputTokens += one.outputTokens;
    counts.askedOutputTokens += asked.outputTokens;
    counts.chunks += one.chunks;
    if (one.model !== null && this.#expected.model !== null && one.model !== this.#expected.model) {
      counts.otherModel++;
      this.#examples = { otherModel: one.model, ...this.#examples };
    }
    if (
      one.outputTokens >= AT_ONCE.tokens &&
      one.lastAt - one.firstAt < AT_ONCE.msPerToken * one.outputTokens
    )
      counts.atOnce++;
    this.#addUsage(one);
  }

  get counts(): Counts {
    return this.#counts;
  }

  merge({ counts, errors, examples, lagMs, sent }: PlainEvidence): void {
    for (const name of Object.keys(COUNTS) as (keyof Counts)[]) this.#counts[name] += counts[name];
    for (const error of errors) this.#addError(error);
    this.#examples = { ...examples, ...this.#examples };
    this.#lagMs.merge(lagMs);
    if (sent) this.#addSent(sent);
  }

  plain(): PlainEvidence {
    return {
      counts: this.#counts,
      errors: this.#errors,
      examples: this.#examples,
      lagMs: this.#lagMs.plain(),
      sent: this.#sent,
    };
  }

  #addUsage({ usage, chunks, asked, answerBytes }: Measured): void {
    const counts = this.#counts;
    const { isExact } = asked;
    if (!usage) {
      // As many chunks as tokens were asked for: one token in each, which needs no usage.
      if (chunks !== asked.outputTokens || !isExact) counts.withoutUsage++;
      return;
    }
    const contradiction = contradictionIn(usage, chunks, asked.outputTokens, answerBytes);
    if (contradiction !== null) {
      counts.contradicting++;
      this.#examples = { contradicting: contradiction, ...this.#examples };
    }
    if (usage.promptTokens === null || !isExact) return;
    counts.comparedPrompts++;
    counts.knownPromptTokens += asked.inputTokens;
    counts.statedPromptTokens += usage.promptTokens;
  }

  #addEarly(got: number, asked: number): void {
    this.#counts.endedEarly++;
    this.#examples = { endedEarly: `${got} of ${asked} tokens`, ...this.#examples };
  }

  #addError(error: string | null): void {
    if (error === null || this.#errors.length >= ERRORS || this.#errors.includes(error)) return;
    this.#errors.push(error);
  }

  #addSent([intendedFrom, intendedTo, from, to]: NonNullable<PlainEvidence['sent']>): void {
    const [a, b, c, d] = this.#sent ?? [intendedFrom, intendedTo, from, to];
    this.#sent = [Math.min(a, intendedFrom), Math.max(b, intendedTo), Math.min(c, from), Math.max(d, to)];
  }
}

/**
 * Why usage cannot be true for the stream that it came with, or null. A chunk that carries output has a token at
 * least, except the last one, which may only say why the answer ended; no engine generates more than max_tokens;
 * and every token is at least a byte of the answer.
 */
function contradictionIn(
  { promptTokens, completionTokens }: NonNullable<Measured['usage']>,
  chunks: number,
  asked: number,
  answerBytes: number,
): string | null {
  if (completionTokens < 0 || (promptTokens ?? 0) < 0)
    return `usage counts ${completionTokens} output and ${promptTokens ?? 0} prompt tokens`;
  if (completionTokens < chunks - 1) return `usage counts ${completionTokens} tokens in ${chunks} chunks`;
  if (completionTokens > asked) return `usage counts ${completionTokens} tokens, of ${asked} allowed ones`;
  if (completionTokens > answerBytes)
    return `usage counts ${completionTokens} tokens in an answer of ${answerBytes} bytes`;
  return null;
}
