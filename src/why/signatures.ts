import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import * as z from 'zod';

const entrySchema = z.strictObject({
  id: z.string().regex(/^[a-z0-9-]+$/),
  kind: z.enum(['origin', 'death', 'echo']),
  /** Whether a line below the level of an error counts, too. */
  quiet: z.boolean().default(false),
  /** Whether the entry only says that something failed; a specific entry beside it is better. */
  general: z.boolean().default(false),
  pattern: z.string().transform((text) => new RegExp(text, 'i')),
  says: z.string().min(1),
  advice: z.string().min(1),
});
/** A known failure: how it looks in a log, and what to do about it. */
export type Signature = z.infer<typeof entrySchema>;

/** The catalogue of known failures: src/why/signatures.yaml. */
export const readSignatures = (file: string): Signature[] =>
  z.array(entrySchema).parse(parse(readFileSync(file, 'utf8')));
