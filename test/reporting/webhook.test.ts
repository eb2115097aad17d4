import { Webhook as Receiver } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import type { SrtEvent } from '../../src/messages/events/events.ts';
import { signatureOf, WebhookMessages } from '../../src/reporting/webhook.ts';
import { madeJob, wholeRun } from './made.ts';

const now = () => Math.floor(Date.now() / 1_000);
const key = Buffer.from('a key of thirty-two bytes in all.').toString('base64');

describe('a webhook', () => {
  const messagesOf = (events: readonly SrtEvent[]) => {
    const all = new WebhookMessages(madeJob());
    return events.flatMap((event) => all.take(event) ?? []);
  };
  const messages = messagesOf(wholeRun(1, 'decode-0 has ended'));

  it('has a message for the job and for each point', () => {
    const bodies = messages.map(({ body }) => JSON.parse(body) as Record<string, unknown>);
    expect(bodies.map(({ type }) => type)).toEqual([
      ...['job.started', 'point.started', 'point.finished', 'job.finished'],
    ]);
    expect(bodies.at(-1)).toMatchObject({
      timestamp: '2026-11-30T10:01:08.000Z',
      data: { job: { id: '77', cluster: 'east' }, exitCode: 1, why: 'decode-0 has ended' },
    });
    expect(new Set(messages.map(({ id }) => id)).size).toBe(messages.length);
  });

  it('has nothing twice when another coordinator takes over, and a new start for each attempt of a point', () => {
    const run = wholeRun(0);
    const types = (events: readonly SrtEvent[]) =>
      messagesOf(events).map(({ body }) => (JSON.parse(body) as { type: string }).type);
    const other = run.map((event) => ({ ...event, source: 'coordinator:2' }));
    expect(types([...run.slice(0, 6), ...other])).toEqual([
      ...['job.started', 'point.started', 'point.finished', 'job.finished'],
    ]);
    expect(types([...run.slice(0, 8), ...run.slice(2)])).toEqual([
      ...[
        'job.started',
        'point.started',
        'point.finished',
        'point.started',
        'point.finished',
        'job.finished',
      ],
    ]);
  });

  it('is signed as the library of Standard Webhooks verifies it', () => {
    for (const message of messages) {
      const headers = signatureOf(message, `whsec_${key}`, now());
      expect(new Receiver(`whsec_${key}`).verify(message.body, headers)).toMatchObject({ data: {} });
    }
  });

  it('is refused when its text was changed, it is old, or the key is another one', () => {
    const [message] = messages;
    if (!message) throw new Error('no message');
    const receiver = new Receiver(`whsec_${key}`);
    const headers = signatureOf(message, `whsec_${key}`, now());
    expect(() => receiver.verify(message.body.replace('small', 'other'), headers)).toThrow();
    expect(() =>
      receiver.verify(message.body, signatureOf(message, `whsec_${key}`, now() - 3_600)),
    ).toThrow();
    expect(() => receiver.verify(message.body, signatureOf(message, 'plain text', now()))).toThrow();
  });

  it('takes any text as the key', () => {
    const [message] = messages;
    if (!message) throw new Error('no message');
    const headers = signatureOf(message, 'plain text', now());
    const receiver = new Receiver(Buffer.from('plain text').toString('base64'));
    expect(receiver.verify(message.body, headers)).toMatchObject({ type: 'job.started' });
  });
});
