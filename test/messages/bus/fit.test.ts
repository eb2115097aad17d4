import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fitMessage } from '../../../src/messages/bus/fit.ts';
import { createOutbox } from '../../../src/messages/bus/outbox.ts';
import { eventSchema, type SrtEvent, WIRE_VERSION } from '../../../src/messages/events/events.ts';

describe('a message that is too large for the bus', () => {
  it('keeps its shape, and the ends of long texts', () => {
    const message = { kind: 'x', lines: Array.from({ length: 10_000 }, (_, n) => `line ${n}`), n: 7 };
    const fitted = fitMessage(message, 20_000);
    expect(Buffer.byteLength(JSON.stringify(fitted))).toBeLessThanOrEqual(20_000);
    expect(fitted).toMatchObject({ kind: 'x', n: 7 });
    expect(fitted.lines.at(-1)).toBe('line 9999');
  });

  it('does not change when it fits', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (message) => {
        const json = JSON.stringify(message);
        expect(JSON.stringify(fitMessage(message, Buffer.byteLength(json)))).toBe(json);
      }),
    );
  });

  it('does not delay later messages', async () => {
    const kept: SrtEvent[] = [];
    const outbox = createOutbox({
      job: 'a',
      source: 'test',
      now: () => new Date(0),
      bus: {
        async keep(_subject, event) {
          if (Buffer.byteLength(JSON.stringify(event)) > 1_048_576) throw new Error('over the limit');
          kept.push(event as SrtEvent);
        },
      },
    });
    const transition = { kind: 'agent.transition', node: 'n', from: null, to: 'joined' } as const;
    // In JSON each NUL takes six characters.
    outbox.send({ ...transition, why: '\0'.repeat(256 * 1024) });
    outbox.send({ ...transition, why: 'next' });
    expect(await outbox.flush(5_000)).toBe(true);
    expect(kept.map(({ seq, v }) => [seq, v])).toEqual([
      [1, WIRE_VERSION],
      [2, WIRE_VERSION],
    ]);
    for (const event of kept) expect(eventSchema.safeParse(event).success).toBe(true);
    expect(JSON.stringify(kept[0])).toContain('characters left out');
  });
});
