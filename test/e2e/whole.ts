import { expect } from 'vitest';
import type { SrtEvent } from '../../src/messages/events/events.ts';

/** Expects every event once, and in order within each source. */
export function expectWhole(events: readonly SrtEvent[]): void {
  const bySource = new Map<string, number[]>();
  for (const { source, seq } of events) bySource.set(source, [...(bySource.get(source) ?? []), seq]);
  for (const seqs of bySource.values()) expect(seqs).toEqual(seqs.map((_, index) => index + 1));
}
