import * as z from 'zod';
import { WIRE_VERSION } from './events.ts';

const v = z.literal(WIRE_VERSION);
/** Chosen by the operator, so that a request whose answer was lost can be repeated. */
const id = z.string().regex(/^[\w-]{8,64}$/);

/** Longest command line, characters of all words together. */
const LONGEST_COMMAND = 64 * 1024;
const argvSchema = z
  .array(z.string().max(LONGEST_COMMAND))
  .min(1)
  .max(4_096)
  .refine((words) => words.reduce((sum, word) => sum + word.length, 0) <= LONGEST_COMMAND);

/** Longest time that a command may take, ms. */
export const LONGEST_EXEC_MS = 3_600_000;

/**
 * What an operator asks an agent about a command on its node: `start` it; its output after piece number `after`, for which
 * the agent waits up to `waitMs`; `stop` it.
 */
export const execRequestSchema = z.discriminatedUnion('do', [
  z.object({
    v,
    do: z.literal('start'),
    id,
    /** The process whose environment and directory the command has; null: those of the agent. */
    process: z.string().max(512).nullable(),
    argv: argvSchema,
    /** Who asks, for the event. */
    by: z.string().max(256),
    limitMs: z.number().int().positive().max(LONGEST_EXEC_MS),
  }),
  z.object({
    v,
    do: z.literal('read'),
    id,
    after: z.number().int().nonnegative(),
    waitMs: z.number().int().nonnegative().max(10_000),
  }),
  z.object({ v, do: z.literal('stop'), id }),
]);
export type ExecRequest = z.infer<typeof execRequestSchema>;

const execEndSchema = z.object({
  exitCode: z.number().int().nullable(),
  signal: z.string().nullable(),
  /** Set when the agent ended it: its time was over, its output too long, it was not read, the agent ended. */
  stoppedBecause: z.string().optional(),
});
export type ExecEnd = z.infer<typeof execEndSchema>;

const execPieceSchema = z.object({
  /** From 1. */
  number: z.number().int().positive(),
  stream: z.enum(['stdout', 'stderr']),
  /** base64, because output may be any bytes. */
  data: z.base64(),
});
export type ExecPiece = z.infer<typeof execPieceSchema>;

export const execReplySchema = z.discriminatedUnion('ok', [
  z.object({
    v,
    ok: z.literal(true),
    pieces: z.array(execPieceSchema),
    /** null: it runs, or has more pieces. */
    end: execEndSchema.nullable(),
  }),
  z.object({ v, ok: z.literal(false), reason: z.string() }),
]);
export type ExecReply = z.infer<typeof execReplySchema>;
