import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import * as z from 'zod';
import { Fatal } from './fatal.ts';

const ms = z.number().nonnegative();

/** The effect of a fault, described in docs/reference/simulator.md. */
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
  /** An id (`decode-1-0`), the beginning of ids (`decode`, `decode-1`), or a pattern with `*`. */
  process: z.string().default('*'),
  /** Number or name of the point; without it the fault applies to every point. */
  point: z.union([z.number().int(), z.string()]).optional(),
  attempt: z.number().int().positive().optional(),
  /**
   * The fault starts with the n-th request for tokens since the process (or the point) started; without it,
   * it starts at once.
   */
  request: z.number().int().positive().optional(),
  after_ms: ms.default(0),
  /** Duration; without it the fault lasts for ever. */
  for_ms: ms.optional(),
  /** Limits the fault to requests whose path starts so (refuse, slow, stall). */
  path: z.string().default('/'),
  /** die: exit code, or signal. die, say: the text on stderr; die prints it before it exits. */
  code: z.number().int().min(0).max(255).default(1),
  signal: z
    .string()
    .regex(/^SIG[A-Z0-9]+$/)
    .optional(),
  says: z.string().optional(),
  /** refuse: an HTTP status, or `connection`: the port is closed. */
  status: z.union([z.number().int().min(100).max(599), z.literal('connection')]).default(503),
  /**
   * slow: the delay before each answer and each piece of it. late: the delay before the process does
   * anything.
   */
  delay_ms: ms.default(1_000),
  /**
   * stream-error: after so many pieces. `error`: an error object, then [DONE]; `event`: `event: error`;
   * `cut`: the connection breaks.
   */
  chunk: z.number().int().nonnegative().default(3),
  how: z.enum(['error', 'event', 'cut']).default('error'),
  /** title, children: the name that `ps` shows. */
  title: z.string().default('sglang::scheduler'),
  /** children: their number. */
  count: z.number().int().positive().default(1),
});
export type Fault = z.infer<typeof faultSchema>;

/**
 * SRTCTL_SIM_FAULTS: a list in YAML (or JSON), or the path of a file with one.
 * @throws Fatal when it is neither, because a rehearsal with an ignored fault proves nothing
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

/** Whether a fault applies to the process with this id. */
export function concerns({ process: pattern }: Fault, id: string): boolean {
  if (!pattern.includes('*')) return id === pattern || id.startsWith(`${pattern}-`);
  const parts = pattern.split('*').map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`).test(id);
}
