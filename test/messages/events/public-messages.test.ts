import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { busReference, busSchema } from '../../../scripts/bus-reference.ts';
import { publicMessages } from '../../../src/messages/events/public-messages.ts';
import { publicSubjects } from '../../../src/messages/events/subjects.ts';

const docs = (name: string): string =>
  readFileSync(resolve(import.meta.dirname, '../../../docs/reference', name), 'utf8');

describe('the messages that readers of the bus may see', () => {
  it('are those on the subjects that their account imports', () => {
    const patterns = publicMessages.map(({ subject }) => `srt.job.${subject.replaceAll(/\{\w+\}/g, '*')}`);
    expect(patterns.sort()).toEqual(publicSubjects('job').sort());
  });

  it('are described by docs/reference/bus.md and bus.schema.json as they are (npm run docs)', () => {
    expect(docs('bus.md')).toBe(busReference());
    expect(docs('bus.schema.json')).toBe(busSchema());
  });
});
