import type { ProbeSpec, ProcessSpec } from '../../messages/spec/process-spec.ts';
import type { WhoAnswers } from './who-answers.ts';

/** What answers a probe is looked at again after so long, ms: while it starts, and once it serves. */
const AGAIN_MS = { starting: 5_000, serving: 60_000 } as const;
/**
 * A look takes a moment, in which sockets are opened, closed and handed on. Only what two looks say alike counts
 * against the process.
 */
const LOOKS_TO_BELIEVE = 2;

export type WhoAsks = (host: string, port: number) => Promise<WhoAnswers>;

/** `pass`: the answer counts, with what people should know of it; `again`: ask once more; `stranger`: it never counts. */
export type AnswerVerdict =
  | { readonly is: 'pass'; readonly says?: string }
  | { readonly is: 'again' }
  | { readonly is: 'stranger'; readonly says: string };

/** The probe asks a port on which the process itself listens; a follower's asks its leader, on another node. */
export const asksItself = ({ probe, ports }: Pick<ProcessSpec, 'probe' | 'ports'>): boolean =>
  probe.kind !== 'running' && Object.values(ports).includes(probe.port);

/** Decides for the probes of one process whether an answer came from the process itself. */
export class AnswerCheck {
  readonly #probe: Exclude<ProbeSpec, { kind: 'running' }>;
  readonly #who: WhoAsks;
  #last: { who: WhoAnswers['who']; times: number } | undefined;
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(probe: Exclude<ProbeSpec, { kind: 'running' }>, who: WhoAsks) {
    this.#probe = probe;
    this.#who = who;
  }

  /** An answer that says ready counts only after a look, unless one was just had. */
  async ready(): Promise<AnswerVerdict> {
    return this.#look();
  }

  /** Any other answer: a stranger that does not say ready keeps the process from its port all the same. */
  async sometimes(phase: keyof typeof AGAIN_MS): Promise<AnswerVerdict> {
    const isDue = performance.now() - this.#lookedAt >= AGAIN_MS[phase] || this.#isInDoubt();
    return isDue ? this.#look() : { is: 'pass' };
  }

  #isInDoubt(): boolean {
    return this.#last?.who === 'stranger' && this.#last.times < LOOKS_TO_BELIEVE;
  }

  async #look(): Promise<AnswerVerdict> {
    const { host, port } = this.#probe;
    const found = await this.#who(host, port);
    this.#lookedAt = performance.now();
    const times = this.#last?.who === found.who ? this.#last.times + 1 : 1;
    this.#last = { who: found.who, times };
    if (found.who === 'ours') return { is: 'pass' };
    if (times < LOOKS_TO_BELIEVE) return { is: 'again' };
    if (found.who === 'unseen') return { is: 'pass', says: found.says };
    return {
      is: 'stranger',
      says: `port ${port} is answered by another program and not by this process: ${found.says}`,
    };
  }
}
