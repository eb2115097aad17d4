import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import * as z from 'zod';

const entrySchema = z.strictObject({
  id: z.string().regex(/^[a-z0-9-]+$/),
  kind: z.enum(['origin', 'death', 'echo']),
  /** It counts in a line that is only a warning or less, too. */
  quiet: z.boolean().default(false),
  /** It only says that something failed: a particular one beside it says what. */
  general: z.boolean().default(false),
  pattern: z.string().transform((text) => new RegExp(text, 'i')),
  says: z.string().min(1),
  advice: z.string().min(1),
});
/** What a known failure looks like in a log, and what to do about it. */
export type Signature = z.infer<typeof entrySchema>;

/** The catalogue of known failures: src/why/signatures.yaml. */
export const readSignatures = (file: string): Signature[] =>
  z.array(entrySchema).parse(parse(readFileSync(file, 'utf8')));
