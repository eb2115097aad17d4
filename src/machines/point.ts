import { assign, enqueueActions, fromPromise, setup } from 'xstate';
import type { BenchmarkResult, Cause } from '../messages/job-directory/result.ts';
import type { DeployPhase } from '../messages/spec/deploy-phases.ts';
import type { PointState } from '../messages/spec/states.ts';
import { type PointEvent, tell } from './addresses.ts';

/** The effects that the machine needs for a point. The machine alone decides when. */
export interface PointWork {
  /** Makes the point's directory. */
  prepare(): Promise<void>;
  /** Asks for all processes up to a phase and resolves when those of the phase are ready. */
  deploy(phase: DeployPhase, signal: AbortSignal): Promise<void>;
  /** Waits until the engines are idle, so that nothing of the previous point is measured. */
  flushCaches(signal: AbortSignal): Promise<void>;
  /** Runs the benchmark to its end; rejects with the process that caused a failure. */
  benchmark(signal: AbortSignal): Promise<void>;
  collect(signal: AbortSignal): Promise<BenchmarkResult>;
}

export interface PointInput {
  readonly ordinal: number;
  readonly name: string;
  /** From 1. */
  readonly attempt: number;
  /** Phases that are deployed before the point warms up, then those that it warms up with; empty ones left out. */
  readonly deploy: readonly DeployPhase[];
  readonly warm: readonly DeployPhase[];
  readonly work: PointWork;
  /** The benchmark has no end of its own (`manual`), so stopping it completes the point. */
  readonly endsWhenStopped?: boolean;
  /** The point had failed under the previous coordinator, and its cleanup was not finished. */
  readonly failedBefore?: Cause | null;
  /** The point breaks after so long (less than 2^31 ms, because Node fires a longer timer at once). */
  readonly limit?: { readonly ms: number; readonly cause: Cause } | null;
}

export interface PointContext extends PointInput {
  readonly step: number;
  readonly why: string;
  readonly cause: Cause | null;
  readonly interrupted: boolean;
  readonly result: BenchmarkResult | null;
  /** Events that came before the point's directory was made. */
  readonly early: readonly PointEvent[];
  /** The last state that was reported to the record. */
  readonly told: PointState | null;
  readonly unexpected: readonly string[];
}

/** How a point ended; the machine's output. */
export interface PointOutcome {
  readonly status: 'done' | 'failed' | 'interrupted';
  readonly cause: Cause | null;
  readonly result: BenchmarkResult | null;
  /** What the job ends with, when this failure is all that is wrong with it. */
  readonly exitCode?: number;
}

interface WorkInput {
  readonly work: PointWork;
}
interface PhaseInput extends WorkInput {
  readonly phase: DeployPhase;
}

/** An error that already names its cause. */
export class CausedError extends Error {
  override readonly name = 'CausedError';
  constructor(readonly causeOf: Cause) {
    super(causeOf.summary);
  }
}

/** The process ended as a stopped process does: by SIGTERM, or in good order. */
const wasToldToEnd = ({ process, exitCode, signal }: Cause): boolean =>
  process !== undefined && (signal === 'SIGTERM' || exitCode === 0 || exitCode === 143);

const causeOf = (error: unknown): Cause =>
  error instanceof CausedError
    ? error.causeOf
    : { summary: error instanceof Error ? error.message : String(error) };

const breakable = {
  'point.broken': { target: '#point.cleaning', actions: 'noteBroken' },
  'point.interrupt': { target: '#point.cleaning', actions: 'noteInterrupt' },
} as const;

/** The entry action of a state, which reports the state to the record. */
const enter = (to: PointState) =>
  [
    { type: 'report', params: { to } },
    { type: 'noteTold', params: { to } },
  ] as const;

/** A deployment to bring up and a benchmark to run on it. */
export const pointMachine = setup({
  types: {
    context: {} as PointContext,
    events: {} as PointEvent,
    input: {} as PointInput,
    output: {} as PointOutcome,
  },
  actors: {
    prepare: fromPromise<void, WorkInput>(({ input }) => input.work.prepare()),
    deployPhase: fromPromise<void, PhaseInput>(({ input, signal }) => input.work.deploy(input.phase, signal)),
    flushCaches: fromPromise<void, WorkInput>(({ input, signal }) => input.work.flushCaches(signal)),
    benchmark: fromPromise<void, WorkInput>(({ input, signal }) => input.work.benchmark(signal)),
    collect: fromPromise<BenchmarkResult, WorkInput>(({ input, signal }) => input.work.collect(signal)),
    /** Sends the empty set; resolves when every agent reports that no process is left, or its lease has expired. */
    cleanup: fromPromise<void>(() => Promise.reject(new Error('not provided'))),
  },
  actions: {
    report: ({ context, system }, { to }: { to: PointState }) => {
      const { ordinal, name, attempt, told: from, why, cause } = context;
      // A state with several phases is reported once.
      if (from !== to)
        tell(system, 'record', { type: 'point.moved', ...{ ordinal, name, attempt, from, to, why, cause } });
    },
    noteTold: assign((_, { to }: { to: PointState }) => ({ told: to })),
    reportUnexpected: ({ context, event, system }) =>
      tell(system, 'record', {
        type: 'event.unexpected',
        actor: `point ${context.ordinal}`,
        event: event.type,
      }),
    noteUnexpected: assign({
      unexpected: ({ context, event }) => [...context.unexpected, event.type].slice(-20),
    }),
    noteBroken: assign(({ event }) =>
      event.type === 'point.broken' ? { cause: event.cause, why: event.cause.summary } : {},
    ),
    noteInterrupt: assign(({ event }) =>
      event.type === 'point.interrupt' ? { interrupted: true, why: event.why } : {},
    ),
    keepEvent: assign({ early: ({ context, event }) => [...context.early, event] }),
    noteEarly: assign(({ context: { early, failedBefore } }) =>
      afterEarly(failedBefore ? [{ type: 'point.broken', cause: failedBefore }, ...early] : early),
    ),
    /** After the start of the deployment, so that the cleanup knows the wanted processes. */
    failAsBefore: ({ context, self }) => {
      if (context.failedBefore) self.send({ type: 'point.broken', cause: context.failedBefore });
    },
    beginLimit: enqueueActions(({ context, enqueue }) => {
      if (!context.limit) return;
      const { ms, cause } = context.limit;
      enqueue.raise({ type: 'point.broken', cause }, { delay: ms });
    }),
  },
  guards: {
    cameEarly: ({ context }) => context.early.length > 0,
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
    early: [],
    told: null,
    unexpected: [],
  }),
  initial: 'planned',
  entry: 'beginLimit',
  on: { '*': { actions: ['noteUnexpected', 'reportUnexpected'] } },
  output: ({ context }) => ({
    status: context.interrupted ? 'interrupted' : context.cause ? 'failed' : 'done',
    cause: context.cause,
    result: context.result,
  }),
  states: {
    planned: {
      // A node can be lost while the point's directory is made.
      on: { 'point.broken': { actions: 'keepEvent' }, 'point.interrupt': { actions: 'keepEvent' } },
      invoke: {
        src: 'prepare',
        input: ({ context: { work } }) => ({ work }),
        onDone: [
          { guard: 'cameEarly', target: 'cleaning', actions: [...enter('planned'), 'noteEarly'] },
          { target: 'deploying', actions: [...enter('planned'), 'failAsBefore'] },
        ],
        onError: {
          target: 'cleaning',
          actions: [
            ...enter('planned'),
            assign({
              cause: ({ event }) => causeOf(event.error),
              why: ({ event }) => causeOf(event.error).summary,
            }),
          ],
        },
      },
    },
    deploying: {
      on: breakable,
      entry: assign({ step: 0, why: 'starting' }),
      initial: 'begin',
      states: {
        begin: { always: [{ guard: 'nothingToDeploy', target: '#point.warming' }, 'phase'] },
        phase: {
          entry: enter('deploying'),
          invoke: {
            src: 'deployPhase',
            input: ({ context }) => ({
              work: context.work,
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
          entry: enter('warming'),
          invoke: {
            src: 'deployPhase',
            input: ({ context }) => ({
              work: context.work,
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
          entry: enter('warming'),
          invoke: {
            src: 'flushCaches',
            input: ({ context: { work } }) => ({ work }),
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
      entry: [assign({ why: 'the frontend reports every worker' }), ...enter('benchmarking')],
      invoke: {
        src: 'benchmark',
        input: ({ context: { work } }) => ({ work }),
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
      entry: [assign({ why: 'the benchmark has ended' }), ...enter('collecting')],
      invoke: {
        src: 'collect',
        input: ({ context: { work } }) => ({ work }),
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
      entry: enter('cleaning'),
      // A process that ends now ends because of the cleanup.
      on: {
        'point.broken': {},
        // A signal to the whole job may reach a worker before it reaches the coordinator.
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
        onDone: [{ guard: 'wasInterrupted', target: 'interrupted' }, { target: 'failed' }],
        onError: [{ guard: 'wasInterrupted', target: 'interrupted' }, { target: 'failed' }],
      },
    },
    done: { type: 'final', entry: enter('done') },
    failed: { type: 'final', entry: enter('failed') },
    interrupted: { type: 'final', entry: enter('interrupted') },
  },
});

/** The same as if the events had come in `planned`: the first event decides. */
function afterEarly(events: readonly PointEvent[]): Partial<PointContext> {
  const [first, ...later] = events;
  if (first?.type === 'point.interrupt') return { interrupted: true, why: first.why };
  if (!first) return {};
  const stop = later.find(({ type }) => type === 'point.interrupt');
  const broken = { cause: first.cause, why: first.cause.summary };
  return stop?.type === 'point.interrupt' && wasToldToEnd(first.cause)
    ? { ...broken, interrupted: true, why: stop.why }
    : broken;
}

function phaseAt(phases: readonly DeployPhase[], step: number): DeployPhase {
  const phase = phases[step];
  if (phase === undefined) throw new Error(`no phase ${step}`);
  return phase;
}
