import type { ProbeSpec, ProcessSpec } from '../../messages/spec/process-spec.ts';
import type { WhoAnswers } from './who-answers.ts';

/** How often the listener behind a probe's answer is checked, ms: during the start, and while it serves. */
const AGAIN_MS = { starting: 5_000, serving: 60_000 } as const;
/**
 * A check takes a moment, in which sockets are opened, closed and passed on. Only two equal results in a row
 * count against the process.
 */
const LOOKS_TO_BELIEVE = 2;

export type WhoAsks = (host: string, port: number) => Promise<WhoAnswers>;

/**
 * `pass`: the answer counts, with a note for people; `again`: probe once more; `stranger`: the answer never
 * counts.
 */
export type AnswerVerdict =
  | { readonly is: 'pass'; readonly says?: string }
  | { readonly is: 'again' }
  | { readonly is: 'stranger'; readonly says: string };

/** Whether the probe's port is the process's own; a follower's probe asks its leader on another node. */
export const asksItself = ({ probe, ports }: Pick<ProcessSpec, 'probe' | 'ports'>): boolean =>
  hasPort(probe) && Object.values(ports).includes(probe.port);

type PortProbe = Extract<ProbeSpec, { port: number }>;

export const hasPort = (probe: ProbeSpec): probe is PortProbe => 'port' in probe;

/** Decides whether an answer to a process's probe came from that process. */
export class AnswerCheck {
  readonly #probe: PortProbe;
  readonly #who: WhoAsks;
  #last: { who: WhoAnswers['who']; times: number } | undefined;
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(probe: PortProbe, who: WhoAsks) {
    this.#probe = probe;
    this.#who = who;
  }

  /** An answer that says ready counts only after a check, unless there was one just now. */
  async ready(): Promise<AnswerVerdict> {
    return this.#look();
  }

  /** Any other answer: a stranger that is not ready also occupies the process's port. */
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
