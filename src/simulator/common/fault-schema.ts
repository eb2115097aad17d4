import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import * as z from 'zod';
import { Fatal } from './fatal.ts';

const ms = z.number().nonnegative();

/** What a fault does; docs/simulator.md says it for people. */
const kinds = z.enum([
  'die',
  'say',
  'freeze',
  'stall',
  'slow',
  'refuse',
  'stream-error',
  'late',
  'never-ready',
  'title',
  'children',
]);
export type FaultKind = z.infer<typeof kinds>;

const faultSchema = z.strictObject({
  do: kinds,
  /** An id (`decode-1-0`), what ids begin with (`decode`, `decode-1`), or a pattern with `*`. */
  process: z.string().default('*'),
  /** Number or name of the point; left out: of all. */
  point: z.union([z.number().int(), z.string()]).optional(),
  attempt: z.number().int().positive().optional(),
  /** It begins with the n-th request for tokens since the process (or the point) began; left out: with that. */
  request: z.number().int().positive().optional(),
  after_ms: ms.default(0),
  /** How long it lasts; left out: for ever. */
  for_ms: ms.optional(),
  /** Only requests to paths that begin so (refuse, slow, stall). */
  path: z.string().default('/'),
  /** die. Exit code, or signal. die, say: what it writes on stderr (before). */
  code: z.number().int().min(0).max(255).default(1),
  signal: z
    .string()
    .regex(/^SIG[A-Z0-9]+$/)
    .optional(),
  says: z.string().optional(),
  /** refuse. An HTTP status, or `connection`: nobody listens any more. */
  status: z.union([z.number().int().min(100).max(599), z.literal('connection')]).default(503),
  /** slow: before each answer and each piece of it. late: before anything is done. */
  delay_ms: ms.default(1_000),
  /** stream-error. After so many pieces; `error`: an error object, then [DONE]; `event`: `event: error`; `cut`: the connection breaks. */
  chunk: z.number().int().nonnegative().default(3),
  how: z.enum(['error', 'event', 'cut']).default('error'),
  /** title, children: what `ps` shows. */
  title: z.string().default('sglang::scheduler'),
  /** children: how many. */
  count: z.number().int().positive().default(1),
});
export type Fault = z.infer<typeof faultSchema>;

/**
 * SRTCTL_SIM_FAULTS: a list in YAML (or JSON), or the path of a file with one.
 * @throws Fatal when it is neither, since a fault that is overlooked rehearses nothing
 */
export function readFaults(text: string | undefined): readonly Fault[] {
  if (text === undefined || text.trim() === '') return [];
  const isPath = /^[./~]/.test(text.trim());
  try {
    const list: unknown = parse(isPath ? readFileSync(text.trim(), 'utf8') : text);
    return z.array(faultSchema).parse(list ?? []);
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error) : String(error);
    throw new Fatal(`SRTCTL_SIM_FAULTS: ${why}`, { exitCode: 2 });
  }
}

/** Whether a fault is one of the process with this id. */
export function concerns({ process: pattern }: Fault, id: string): boolean {
  if (!pattern.includes('*')) return id === pattern || id.startsWith(`${pattern}-`);
  const parts = pattern.split('*').map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`).test(id);
}
