import type { ClockOffset } from '../../messages/events/events.ts';
import type { Cause } from '../../messages/job-directory/result.ts';
import { explain } from '../../why/explain.ts';
import { readSignatures } from '../../why/signatures.ts';
import { recentEvents } from '../record/recent-events.ts';

export interface ExplainerOptions {
  readonly eventsFile: string;
  /** The catalogue of known failures. */
  readonly signatures: string;
  readonly bus: { eventsWritten(): Promise<void> };
  readonly record: {
    readonly clockOffsets: readonly ClockOffset[];
    defect(what: string, error: unknown): void;
  };
}

/** Finds a better cause than the first failure that was seen, after all processes have ended. */
export class Explainer {
  readonly #options: ExplainerOptions;

  constructor(options: ExplainerOptions) {
    this.#options = options;
  }

  /** Resolves with `told` when no better cause is found. */
  async explain(ordinal: number, told: Cause): Promise<Cause> {
    const { eventsFile, signatures, bus, record } = this.#options;
    try {
      await bus.eventsWritten();
      const events = [...record.clockOffsets, ...(await recentEvents(eventsFile))];
      return await explain(events, ordinal, told, readSignatures(signatures), eventsFile);
    } catch (error) {
      record.defect('the cause could not be looked into', error);
      return told;
    }
  }
}
