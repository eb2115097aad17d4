import { assign, fromPromise, setup } from 'xstate';
import type { Cause } from '../messages/job-directory/result.ts';
import { afterFailure, CONTINUE, type FailurePolicy } from './failure-policy.ts';
import { CausedError, type PointOutcome } from './point.ts';

export interface SweepInput {
  /** Ordinals of the points in the order in which they run. */
  readonly ordinals: readonly number[];
  /** How many further points have a valid result from before, and how many have failed. */
  readonly done?: number;
  readonly failed?: number;
  /** What went wrong before, if anything did. */
  readonly cause?: Cause | null;
  readonly policy?: FailurePolicy;
}

export interface SweepContext {
  /** Ordinals of the points that are still to run, the current one first. */
  readonly left: readonly number[];
  readonly policy: FailurePolicy;
  /** Points with a valid result, and those without, of which no attempt is left. */
  readonly done: number;
  readonly failed: number;
  /** Causes of the failed attempts of the current point. */
  readonly failures: readonly Cause[];
  /** A point failed and the rest is not wanted. */
  readonly aborted: boolean;
  readonly why: string;
  /** The first thing that went wrong, in any point or beside them. */
  readonly cause: Cause | null;
  /** Exit code asked for by a signal or a cancel; null = not interrupted. */
  readonly interruptCode: number | null;
  /** Something is gone that no further point can do without (an agent, the bus). */
  readonly crippled: boolean;
  readonly unexpected: readonly string[];
}

export type SweepEvent =
  | { type: 'sweep.interrupt'; why: string; exitCode: number }
  | { type: 'sweep.crippled'; cause: Cause };

/** The job's work: boot, one point after the other, clean up, end. */
export const sweepMachine = setup({
  types: {
    context: {} as SweepContext,
    events: {} as SweepEvent,
    input: {} as SweepInput,
    output: {} as { exitCode: number; cause: Cause | null },
  },
  actors: {
    /** nats-server is up, agents are launched and have joined; resolves with how that went. */
    boot: fromPromise<string>(() => Promise.reject(new Error('not provided'))),
    /** Runs a point machine to its end. */
    point: fromPromise<PointOutcome, { ordinal: number; attempt: number }>(() =>
      Promise.reject(new Error('not provided')),
    ),
    /** The empty set to every agent; resolves when nothing is left, or the leases are over. */
    cleanup: fromPromise<void>(() => Promise.reject(new Error('not provided'))),
    /** Ends the agents and writes what is to be written while the bus is up. */
    finish: fromPromise<void>(() => Promise.reject(new Error('not provided'))),
  },
  actions: {
    noteUnexpected: assign({
      unexpected: ({ context, event }) => [...context.unexpected, event.type].slice(-20),
    }),
    noteInterrupt: assign(({ event }) =>
      event.type === 'sweep.interrupt' ? { interruptCode: event.exitCode, why: event.why } : {},
    ),
    noteCrippled: assign(({ context, event }) =>
      event.type === 'sweep.crippled'
        ? { crippled: true, cause: context.cause ?? event.cause, why: event.cause.summary }
        : {},
    ),
    // A point that was to be tried again, and will not be, has failed.
    giveUpRetry: assign(({ context }) =>
      context.failures.length === 0
        ? {}
        : {
            left: context.left.slice(1),
            failed: context.failed + 1,
            failures: [],
            cause: context.cause ?? context.failures.at(-1) ?? null,
          },
    ),
  },
  guards: {
    nothingLeft: ({ context }) => context.left.length === 0,
    mustEnd: ({ context }) => context.interruptCode !== null || context.crippled || context.aborted,
    triesAgain: ({ context }) => context.failures.length > 0,
  },
  delays: { pause: ({ context }) => context.policy.pauseMs },
}).createMachine({
  id: 'sweep',
  context: ({ input }) => ({
    left: input.ordinals,
    policy: input.policy ?? CONTINUE,
    done: input.done ?? 0,
    failed: input.failed ?? 0,
    failures: [],
    aborted: false,
    why: 'submitted',
    cause: input.cause ?? null,
    interruptCode: null,
    crippled: false,
    unexpected: [],
  }),
  initial: 'booting',
  on: {
    'sweep.interrupt': { actions: 'noteInterrupt' },
    'sweep.crippled': { actions: 'noteCrippled' },
    '*': { actions: 'noteUnexpected' },
  },
  output: ({ context }) => ({
    cause: context.cause,
    exitCode: context.interruptCode ?? exitCodeOf(context),
  }),
  states: {
    booting: {
      invoke: {
        src: 'boot',
        onDone: { target: 'running', actions: assign({ why: ({ event }) => event.output }) },
        onError: {
          target: 'cleaning',
          actions: assign({
            crippled: true,
            cause: ({ context, event }) => context.cause ?? causeOfError(event.error),
            why: ({ event }) => causeOfError(event.error).summary,
          }),
        },
      },
      on: {
        'sweep.interrupt': { target: 'cleaning', actions: 'noteInterrupt' },
        'sweep.crippled': { target: 'cleaning', actions: 'noteCrippled' },
      },
    },
    running: {
      initial: 'next',
      states: {
        next: {
          always: [
            { guard: 'mustEnd', target: '#sweep.cleaning', actions: 'giveUpRetry' },
            {
              guard: 'nothingLeft',
              target: '#sweep.cleaning',
              actions: assign({ why: 'every point has run' }),
            },
            { guard: 'triesAgain', target: 'pausing' },
            { target: 'point' },
          ],
        },
        // Before a point is tried again: what it failed of may need a moment to pass.
        pausing: {
          after: { pause: 'point' },
          on: {
            'sweep.interrupt': { target: 'next', actions: 'noteInterrupt' },
            'sweep.crippled': { target: 'next', actions: 'noteCrippled' },
          },
        },
        point: {
          invoke: {
            src: 'point',
            input: ({ context }) => ({
              ordinal: context.left[0] ?? -1,
              attempt: context.failures.length + 1,
            }),
            onDone: {
              target: 'next',
              actions: assign(({ context, event }) => afterPoint(context, event.output)),
            },
            onError: {
              target: '#sweep.cleaning',
              actions: assign({
                crippled: true,
                cause: ({ context, event }) => context.cause ?? causeOfError(event.error),
                why: ({ event }) => causeOfError(event.error).summary,
              }),
            },
          },
        },
      },
    },
    cleaning: {
      invoke: { src: 'cleanup', onDone: 'finishing', onError: 'finishing' },
    },
    finishing: {
      invoke: { src: 'finish', onDone: 'finished', onError: 'finished' },
    },
    finished: { type: 'final' },
  },
});

/** A failed attempt is not the point's end while another follows, and then no cause of the run's. */
function afterPoint(context: SweepContext, outcome: PointOutcome): Partial<SweepContext> {
  const { status, cause, result } = outcome;
  const left = context.left.slice(1);
  // To be stopped is the regular end of a `manual` point; of the last one, the whole run's.
  if (status === 'done' && left.length === 0 && result?.type === 'manual')
    return { left, done: context.done + 1, failures: [], interruptCode: null };
  if (status === 'done') return { left, done: context.done + 1, failures: [] };
  const over = { left, failed: context.failed + 1, failures: [], cause: context.cause ?? cause };
  if (status === 'interrupted' || cause === null) return over;
  const failures = [...context.failures, cause];
  switch (afterFailure(context.policy, failures)) {
    case 'retry':
      return { failures };
    case 'abort':
      return { ...over, aborted: true, why: 'a point failed, and on_failure is abort' };
    case 'next':
      return over;
  }
}

/** 3: every point had its turn, and some are done. */
function exitCodeOf({ cause, crippled, aborted, done, failed }: SweepContext): number {
  if (failed > 0 && done > 0 && !crippled && !aborted) return 3;
  return cause !== null || failed > 0 ? 1 : 0;
}

const causeOfError = (error: unknown): Cause =>
  error instanceof CausedError
    ? error.causeOf
    : { summary: error instanceof Error ? error.message : String(error) };
