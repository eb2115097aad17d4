import { createHash } from 'node:crypto';
import type { Prompt, WorkloadFacts } from './prompt.ts';

/**
 * SHA-256 over what is sent: the kind of the workload, and each prompt's lengths and content in the order of
 * sending. Two runs with the same hash asked the same of their deployments.
 */
export class WorkloadHash {
  readonly #hash = createHash('sha256');

  constructor({ dataset, prompts, chatTemplate }: WorkloadFacts) {
    this.#hash.update(`${JSON.stringify([dataset, prompts, chatTemplate])}\n`);
  }

  add({ content, inputTokens, outputTokens }: Prompt): void {
    this.#hash.update(`${inputTokens} ${outputTokens} ${content.length}\n`);
    this.#hash.update(typeof content === 'string' ? content : Uint32Array.from(content));
  }

  /** Hexadecimal; the end of this hash. */
  digest(): string {
    return this.#hash.digest('hex');
  }
}
