import { assign, fromPromise, setup } from 'xstate';
import type { Cause } from '../messages/result.ts';
import { CausedError, type PointOutcome } from './point.ts';

export interface SweepContext {
  readonly points: number;
  /** Ordinals of the points that are still to run, the current one first. */
  readonly left: readonly number[];
  readonly outcomes: readonly PointOutcome[];
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
    input: {} as { ordinals: readonly number[] },
    output: {} as { exitCode: number; cause: Cause | null },
  },
  actors: {
    /** nats-server is up, agents are launched, all have joined. */
    boot: fromPromise<void>(() => Promise.reject(new Error('not provided'))),
    /** Runs a point machine to its end. */
    point: fromPromise<PointOutcome, { ordinal: number }>(() => Promise.reject(new Error('not provided'))),
    /** The empty set to every agent; resolves when nothing is left, or the leases are over. */
    cleanup: fromPromise<void>(() => Promise.reject(new Error('not provided'))),
    /** Ends the agents and writes what is to be written while the bus is up. */
    finish: fromPromise<void>(() => Promise.reject(new Error('not provided'))),
  },
  actions: {
    noteUnexpected: assign({
      unexpected: ({ context, event }) => [...context.unexpected, event.type].slice(-20),
    }),
  },
  guards: {
    nothingLeft: ({ context }) => context.left.length === 0,
    mustEnd: ({ context }) => context.interruptCode !== null || context.crippled,
  },
}).createMachine({
  id: 'sweep',
  context: ({ input }) => ({
    points: input.ordinals.length,
    left: input.ordinals,
    outcomes: [],
    why: 'submitted',
    cause: null,
    interruptCode: null,
    crippled: false,
    unexpected: [],
  }),
  initial: 'booting',
  on: {
    'sweep.interrupt': {
      actions: assign({ interruptCode: ({ event }) => event.exitCode, why: ({ event }) => event.why }),
    },
    'sweep.crippled': {
      actions: assign({
        crippled: true,
        cause: ({ context, event }) => context.cause ?? event.cause,
        why: ({ event }) => event.cause.summary,
      }),
    },
    '*': { actions: 'noteUnexpected' },
  },
  output: ({ context }) => ({
    cause: context.cause,
    exitCode:
      context.interruptCode ??
      (context.cause || context.outcomes.some((outcome) => outcome.status !== 'done') ? 1 : 0),
  }),
  states: {
    booting: {
      invoke: {
        src: 'boot',
        onDone: { target: 'running', actions: assign({ why: 'every agent has joined' }) },
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
        'sweep.interrupt': {
          target: 'cleaning',
          actions: assign({ interruptCode: ({ event }) => event.exitCode, why: ({ event }) => event.why }),
        },
        'sweep.crippled': {
          target: 'cleaning',
          actions: assign({
            crippled: true,
            cause: ({ context, event }) => context.cause ?? event.cause,
            why: ({ event }) => event.cause.summary,
          }),
        },
      },
    },
    running: {
      initial: 'next',
      states: {
        next: {
          always: [
            { guard: 'mustEnd', target: '#sweep.cleaning' },
            {
              guard: 'nothingLeft',
              target: '#sweep.cleaning',
              actions: assign({ why: 'every point has run' }),
            },
            { target: 'point' },
          ],
        },
        point: {
          invoke: {
            src: 'point',
            input: ({ context }) => ({ ordinal: context.left[0] ?? -1 }),
            onDone: {
              target: 'next',
              actions: assign({
                left: ({ context }) => context.left.slice(1),
                outcomes: ({ context, event }) => [...context.outcomes, event.output],
                cause: ({ context, event }) => context.cause ?? event.output.cause,
              }),
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

const causeOfError = (error: unknown): Cause =>
  error instanceof CausedError
    ? error.causeOf
    : { summary: error instanceof Error ? error.message : String(error) };
