import { assign, fromPromise, setup } from 'xstate';
import type { BenchmarkResult, Cause } from '../messages/job-directory/result.ts';
import type { DeployPhase } from '../messages/spec/process-spec.ts';

export interface PointInput {
  readonly ordinal: number;
  readonly name: string;
  /** Phases that are deployed before the point warms up, then those that it warms up with; empty ones left out. */
  readonly deploy: readonly DeployPhase[];
  readonly warm: readonly DeployPhase[];
  /** Its benchmark has no end of its own (`manual`): to be stopped is how it is done. */
  readonly endsWhenStopped?: boolean;
}

export interface PointContext extends PointInput {
  readonly step: number;
  readonly why: string;
  readonly cause: Cause | null;
  readonly interrupted: boolean;
  readonly result: BenchmarkResult | null;
  readonly unexpected: readonly string[];
}

export type PointEvent =
  | { type: 'point.start' }
  /** A critical process ended or an agent was lost: `cause` is what came first. */
  | { type: 'point.broken'; cause: Cause }
  | { type: 'point.interrupt'; why: string };

/** How a point ended; the machine's output. */
export interface PointOutcome {
  readonly status: 'done' | 'failed' | 'interrupted';
  readonly cause: Cause | null;
  readonly result: BenchmarkResult | null;
}

interface PhaseInput {
  readonly ordinal: number;
  readonly phase: DeployPhase;
}
interface OrdinalInput {
  readonly ordinal: number;
}

/** An error that already says who is to blame. */
export class CausedError extends Error {
  override readonly name = 'CausedError';
  constructor(readonly causeOf: Cause) {
    super(causeOf.summary);
  }
}

/** A process that ended as one does that is asked to: by SIGTERM, or in good order. */
const wasToldToEnd = ({ process, exitCode, signal }: Cause): boolean =>
  process !== undefined && (signal === 'SIGTERM' || exitCode === 0 || exitCode === 143);

const causeOf = (error: unknown): Cause =>
  error instanceof CausedError
    ? error.causeOf
    : { summary: error instanceof Error ? error.message : String(error) };

const breakable = {
  'point.broken': {
    target: '#point.cleaning',
    actions: assign<
      PointContext,
      Extract<PointEvent, { type: 'point.broken' }>,
      undefined,
      PointEvent,
      never
    >({
      cause: ({ event }) => event.cause,
      why: ({ event }) => event.cause.summary,
    }),
  },
  'point.interrupt': {
    target: '#point.cleaning',
    actions: assign<
      PointContext,
      Extract<PointEvent, { type: 'point.interrupt' }>,
      undefined,
      PointEvent,
      never
    >({
      interrupted: true,
      why: ({ event }) => event.why,
    }),
  },
} as const;

/** A deployment to bring up and a benchmark to run on it. */
export const pointMachine = setup({
  types: {
    context: {} as PointContext,
    events: {} as PointEvent,
    input: {} as PointInput,
    output: {} as PointOutcome,
  },
  actors: {
    /** Asks for all processes up to a phase and resolves when those of the phase are ready. */
    deployPhase: fromPromise<void, PhaseInput>(() => Promise.reject(new Error('not provided'))),
    /** All is ready: brings it to rest, so that nothing of before is measured. */
    flushCaches: fromPromise<void, OrdinalInput>(() => Promise.resolve()),
    /** Runs the benchmark to its end; rejects with who is to blame. */
    benchmark: fromPromise<void, OrdinalInput>(() => Promise.reject(new Error('not provided'))),
    collect: fromPromise<BenchmarkResult, OrdinalInput>(() => Promise.reject(new Error('not provided'))),
    /** The empty set to all; resolves when every agent reports no process, or its lease is over. */
    cleanup: fromPromise<void, OrdinalInput>(() => Promise.reject(new Error('not provided'))),
  },
  actions: {
    noteUnexpected: assign({
      unexpected: ({ context, event }) => [...context.unexpected, event.type].slice(-20),
    }),
  },
  guards: {
    moreToDeploy: ({ context }) => context.step + 1 < context.deploy.length,
    moreToWarm: ({ context }) => context.step + 1 < context.warm.length,
    nothingToWarm: ({ context }) => context.warm.length === 0,
    nothingToDeploy: ({ context }) => context.deploy.length === 0,
    wasInterrupted: ({ context }) => context.interrupted,
    endsWhenStopped: ({ context }) => context.endsWhenStopped === true,
    brokeByInterrupt: ({ context }) => context.cause !== null && wasToldToEnd(context.cause),
  },
}).createMachine({
  id: 'point',
  context: ({ input }) => ({
    ...input,
    step: 0,
    why: 'planned',
    cause: null,
    interrupted: false,
    result: null,
    unexpected: [],
  }),
  initial: 'planned',
  on: { '*': { actions: 'noteUnexpected' } },
  output: ({ context }) => ({
    status: context.interrupted ? 'interrupted' : context.cause ? 'failed' : 'done',
    cause: context.cause,
    result: context.result,
  }),
  states: {
    planned: {
      // A node can be lost before the point begins, while its directory is made.
      on: { 'point.start': 'deploying', ...breakable },
    },
    deploying: {
      on: breakable,
      entry: assign({ step: 0, why: 'starting' }),
      initial: 'begin',
      states: {
        begin: { always: [{ guard: 'nothingToDeploy', target: '#point.warming' }, 'phase'] },
        phase: {
          invoke: {
            src: 'deployPhase',
            input: ({ context }) => ({
              ordinal: context.ordinal,
              phase: phaseAt(context.deploy, context.step),
            }),
            onDone: [
              {
                guard: 'moreToDeploy',
                target: 'phase',
                reenter: true,
                actions: assign({ step: ({ context }) => context.step + 1 }),
              },
              { target: '#point.warming' },
            ],
            onError: {
              target: '#point.cleaning',
              actions: assign({
                cause: ({ event }) => causeOf(event.error),
                why: ({ event }) => causeOf(event.error).summary,
              }),
            },
          },
        },
      },
    },
    warming: {
      on: breakable,
      entry: assign({ step: 0, why: 'workers are ready' }),
      initial: 'begin',
      states: {
        begin: { always: [{ guard: 'nothingToWarm', target: 'flushing' }, 'phase'] },
        phase: {
          invoke: {
            src: 'deployPhase',
            input: ({ context }) => ({
              ordinal: context.ordinal,
              phase: phaseAt(context.warm, context.step),
            }),
            onDone: [
              {
                guard: 'moreToWarm',
                target: 'phase',
                reenter: true,
                actions: assign({ step: ({ context }) => context.step + 1 }),
              },
              { target: 'flushing' },
            ],
            onError: {
              target: '#point.cleaning',
              actions: assign({
                cause: ({ event }) => causeOf(event.error),
                why: ({ event }) => causeOf(event.error).summary,
              }),
            },
          },
        },
        flushing: {
          invoke: {
            src: 'flushCaches',
            input: ({ context }) => ({ ordinal: context.ordinal }),
            onDone: '#point.benchmarking',
            onError: {
              target: '#point.cleaning',
              actions: assign({
                cause: ({ event }) => causeOf(event.error),
                why: ({ event }) => causeOf(event.error).summary,
              }),
            },
          },
        },
      },
    },
    benchmarking: {
      on: {
        ...breakable,
        'point.interrupt': [{ guard: 'endsWhenStopped', target: 'collecting' }, breakable['point.interrupt']],
      },
      entry: assign({ why: 'the frontend reports every worker' }),
      invoke: {
        src: 'benchmark',
        input: ({ context }) => ({ ordinal: context.ordinal }),
        onDone: 'collecting',
        onError: {
          target: 'cleaning',
          actions: assign({
            cause: ({ event }) => causeOf(event.error),
            why: ({ event }) => causeOf(event.error).summary,
          }),
        },
      },
    },
    collecting: {
      on: breakable,
      entry: assign({ why: 'the benchmark has ended' }),
      invoke: {
        src: 'collect',
        input: ({ context }) => ({ ordinal: context.ordinal }),
        onDone: [
          {
            guard: ({ event }) => event.output.valid !== false,
            target: 'done',
            actions: assign({
              result: ({ event }) => event.output,
              why: ({ event }) =>
                event.output.valid ? 'the result is valid' : 'the benchmark ended well and left no figures',
            }),
          },
          {
            target: 'cleaning',
            actions: assign({
              result: ({ event }) => event.output,
              cause: ({ event }) => ({ summary: event.output.reason ?? 'the result is not valid' }),
              why: ({ event }) => event.output.reason ?? 'the result is not valid',
            }),
          },
        ],
        onError: {
          target: 'cleaning',
          actions: assign({
            cause: ({ event }) => causeOf(event.error),
            why: ({ event }) => causeOf(event.error).summary,
          }),
        },
      },
    },
    cleaning: {
      // What comes now comes of the cleaning itself; the cause is known.
      on: {
        // The point broke before it began.
        'point.start': {},
        'point.broken': {},
        // Who ends a whole job by signal may have ended a worker before we hear of it.
        'point.interrupt': [
          {
            guard: 'brokeByInterrupt',
            actions: assign({ interrupted: true, why: ({ event }) => event.why }),
          },
          {},
        ],
      },
      invoke: {
        src: 'cleanup',
        input: ({ context }) => ({ ordinal: context.ordinal }),
        onDone: [{ guard: 'wasInterrupted', target: 'interrupted' }, { target: 'failed' }],
        onError: [{ guard: 'wasInterrupted', target: 'interrupted' }, { target: 'failed' }],
      },
    },
    done: { type: 'final' },
    failed: { type: 'final' },
    interrupted: { type: 'final' },
  },
});

function phaseAt(phases: readonly DeployPhase[], step: number): DeployPhase {
  const phase = phases[step];
  if (phase === undefined) throw new Error(`no phase ${step}`);
  return phase;
}

/** The name of a snapshot's top state. */
export const topState = (value: unknown): string =>
  typeof value === 'string' ? value : (Object.keys(value as object)[0] ?? 'unknown');
