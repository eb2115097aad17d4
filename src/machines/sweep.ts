import { assign, fromCallback, fromPromise, raise, setup } from 'xstate';
import type { Cause } from '../messages/job-directory/result.ts';
import type { SweepState } from '../messages/spec/states.ts';
import { type FleetEvent, type RecordEvent, type SweepEvent, tell } from './addresses.ts';
import { afterFailure, CONTINUE, type FailurePolicy } from './failure-policy.ts';
import { CausedError, type PointInput, type PointOutcome, pointMachine } from './point.ts';

/** One attempt at a point, and what becomes of its result. */
export interface Attempt {
  readonly point: PointInput;
  /** Writes result.json. The answer may name a better cause, and is failed when the result cannot be written. */
  write(outcome: PointOutcome): Promise<EndedAttempt>;
  /** No further attempt follows: the result is the point's. */
  keep(): Promise<void>;
  /** Another attempt follows: the point is open again, also for a coordinator that takes over. */
  reopen(): Promise<void>;
}

export interface EndedAttempt {
  readonly outcome: PointOutcome;
  /** The attempt lost a node, and a spare node can replace it. */
  readonly canReplaceLost: boolean;
}

/** Whether a point may begin. */
export type GateAnswer =
  | { readonly kind: 'opens'; readonly attempt: Attempt }
  /** The allocation ends before the point can. */
  | { readonly kind: 'too late'; readonly why: string; readonly exitCode: number }
  /** A node is lost for good, and no spare node is left. */
  | { readonly kind: 'crippled'; readonly cause: Cause };

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
  /** Points with a valid result, and points that failed in their last attempt. */
  readonly done: number;
  readonly failed: number;
  /** The last attempt that the gate let begin, and its outcome as the machine saw it. */
  readonly attempt: Attempt | null;
  readonly outcome: PointOutcome | null;
  /** Causes of the current point's failed attempts. An attempt that lost a node is not one of them. */
  readonly failures: readonly Cause[];
  /** Why the current point is tried again; null: it has not been tried, or is over. */
  readonly retry: Retry | null;
  /** A point failed, and the policy is to run no further point. */
  readonly aborted: boolean;
  readonly why: string;
  /** The first thing that went wrong, in any point or beside them. */
  readonly cause: Cause | null;
  /** Exit code asked for by a signal or a cancel; null = not interrupted. */
  readonly interruptCode: number | null;
  /** No further point can run, because an agent or the bus is gone. */
  readonly crippled: boolean;
  /** The run was interrupted or crippled. Stays true when a point completes by being stopped. */
  readonly stopping: boolean;
  /** The state that the record was told last. */
  readonly told: SweepState;
  readonly unexpected: readonly string[];
}

/** The policy (`sweep.on_failure`) asks for another attempt, or a spare node has replaced a lost one. */
type Retry = 'policy' | 'lost node';

interface AttemptInput {
  readonly attempt: Attempt | null;
}
interface EndInput extends AttemptInput {
  readonly outcome: PointOutcome | null;
}

const notProvided = () => Promise.reject(new Error('not provided'));

/** The entry of a state: the record is told of it. */
const enter = (to: SweepState) =>
  [
    { type: 'report', params: { to } },
    { type: 'noteTold', params: { to } },
  ] as const;

/** The job's work: boot, one point after the other, clean up, end. The root of the coordinator's actors. */
export const sweepMachine = setup({
  types: {
    context: {} as SweepContext,
    events: {} as SweepEvent,
    input: {} as SweepInput,
    output: {} as { exitCode: number; cause: Cause | null },
  },
  actors: {
    /** Knows which processes are wanted, and tells the point of the first that fails. */
    fleet: fromCallback<FleetEvent>(() => undefined),
    /** Writes down what the machines tell. */
    record: fromCallback<RecordEvent>(() => undefined),
    /** Connects to the bus, starts the agents and waits for them; resolves with how that went. */
    boot: fromPromise<string>(notProvided),
    /** Sees to it that there is time for a point, and an agent on each node. */
    gate: fromPromise<GateAnswer, { ordinal: number }>(notProvided),
    point: pointMachine,
    write: fromPromise<EndedAttempt, EndInput>(async ({ input: { attempt, outcome } }) => {
      if (!attempt || !outcome) throw new Error('no attempt has ended');
      return attempt.write(outcome);
    }),
    keep: fromPromise<void, AttemptInput>(async ({ input }) => input.attempt?.keep()),
    reopen: fromPromise<void, AttemptInput>(async ({ input }) => input.attempt?.reopen()),
    /** Sends the empty set; resolves when every agent reports that no process is left, or its lease has expired. */
    cleanup: fromPromise<void>(notProvided),
    /** Ends the agents, and writes what can only be written while the bus is up. */
    finish: fromPromise<void>(notProvided),
  },
  actions: {
    report: ({ context, system }, { to }: { to: SweepState }) => {
      const { told: from, why, cause } = context;
      const exitCode = to === 'finished' ? exitCodeOf(context) : null;
      if (from !== to) tell(system, 'record', { type: 'sweep.moved', from, to, why, exitCode, cause });
    },
    noteTold: assign((_, { to }: { to: SweepState }) => ({ told: to })),
    noteUnexpected: assign({
      unexpected: ({ context, event }) => [...context.unexpected, event.type].slice(-20),
    }),
    reportUnexpected: ({ event, system }) =>
      tell(system, 'record', { type: 'event.unexpected', actor: 'sweep', event: event.type }),
    noteInterrupt: assign(({ event }) =>
      event.type === 'sweep.interrupt'
        ? { interruptCode: event.exitCode, stopping: true, why: event.why }
        : {},
    ),
    passInterrupt: ({ event, system }) => {
      if (event.type !== 'sweep.interrupt') return;
      tell(system, 'record', { type: 'sweep.interrupted', why: event.why });
      tell(system, 'point', { type: 'point.interrupt', why: event.why });
    },
    noteCrippled: assign(({ context, event }) =>
      event.type === 'sweep.crippled'
        ? { crippled: true, stopping: true, cause: context.cause ?? event.cause, why: event.cause.summary }
        : {},
    ),
    passCrippled: ({ event, system }) => {
      if (event.type === 'sweep.crippled')
        tell(system, 'point', { type: 'point.broken', cause: event.cause });
    },
    // A point that was to be tried again, and will not be, has failed.
    giveUpRetry: assign(({ context }) => ({
      left: context.left.slice(1),
      failed: context.failed + 1,
      failures: [],
      retry: null,
      cause: context.cause ?? context.failures.at(-1) ?? null,
    })),
  },
  guards: {
    nothingLeft: ({ context }) => context.left.length === 0,
    mustEnd: ({ context }) => mustEnd(context),
    givesUp: ({ context }) => mustEnd(context) && context.retry !== null,
    pausesFirst: ({ context }) => context.retry === 'policy',
    isStopping: ({ context }) => context.stopping,
  },
  delays: { pause: ({ context }) => context.policy.pauseMs },
}).createMachine({
  id: 'sweep',
  context: ({ input }) => ({
    left: input.ordinals,
    policy: input.policy ?? CONTINUE,
    done: input.done ?? 0,
    failed: input.failed ?? 0,
    attempt: null,
    outcome: null,
    failures: [],
    retry: null,
    aborted: false,
    why: 'submitted',
    cause: input.cause ?? null,
    interruptCode: null,
    crippled: false,
    stopping: false,
    told: 'booting',
    unexpected: [],
  }),
  invoke: [
    { src: 'fleet', systemId: 'fleet' },
    { src: 'record', systemId: 'record' },
  ],
  initial: 'booting',
  on: {
    'sweep.interrupt': { actions: ['noteInterrupt', 'passInterrupt'] },
    'sweep.crippled': { actions: ['noteCrippled', 'passCrippled'] },
    'sweep.timeUp': [
      { guard: 'isStopping' },
      { actions: raise(({ event }) => ({ ...event, type: 'sweep.interrupt' as const })) },
    ],
    '*': { actions: ['noteUnexpected', 'reportUnexpected'] },
  },
  output: ({ context }) => ({ cause: context.cause, exitCode: exitCodeOf(context) }),
  states: {
    booting: {
      invoke: {
        src: 'boot',
        onDone: { target: 'running', actions: assign({ why: ({ event }) => event.output }) },
        onError: {
          target: 'cleaning',
          actions: assign(({ context, event }) => afterError(context, event.error)),
        },
      },
      on: {
        'sweep.interrupt': { target: 'cleaning', actions: ['noteInterrupt', 'passInterrupt'] },
        'sweep.crippled': { target: 'cleaning', actions: 'noteCrippled' },
      },
    },
    running: {
      initial: 'next',
      states: {
        next: {
          always: [
            { guard: 'givesUp', target: 'givingUp', actions: 'giveUpRetry' },
            { guard: 'mustEnd', target: '#sweep.cleaning' },
            {
              guard: 'nothingLeft',
              target: '#sweep.cleaning',
              actions: assign({ why: 'every point has run' }),
            },
            { guard: 'pausesFirst', target: 'pausing' },
            { target: 'gate' },
          ],
        },
        // What the attempt failed of may need a moment to pass.
        pausing: {
          after: { pause: 'gate' },
          on: {
            'sweep.interrupt': { target: 'next', actions: ['noteInterrupt', 'passInterrupt'] },
            'sweep.crippled': { target: 'next', actions: 'noteCrippled' },
          },
        },
        gate: {
          entry: enter('running'),
          on: {
            'sweep.interrupt': { target: 'next', actions: ['noteInterrupt', 'passInterrupt'] },
            'sweep.crippled': { target: 'next', actions: 'noteCrippled' },
          },
          invoke: {
            src: 'gate',
            input: ({ context }) => ({ ordinal: context.left[0] ?? -1 }),
            onDone: [
              {
                guard: ({ event }) => event.output.kind === 'opens',
                target: 'point',
                actions: assign(({ context, event }) => afterGate(context, event.output)),
              },
              {
                target: 'next',
                actions: [
                  assign(({ context, event }) => afterGate(context, event.output)),
                  ({ event, system }) => {
                    if (event.output.kind === 'too late')
                      tell(system, 'record', { type: 'sweep.interrupted', why: event.output.why });
                  },
                ],
              },
            ],
            onError: {
              target: '#sweep.cleaning',
              actions: assign(({ context, event }) => afterError(context, event.error)),
            },
          },
        },
        point: {
          invoke: {
            src: 'point',
            systemId: 'point',
            input: ({ context: { attempt } }) => {
              if (!attempt) throw new Error('the gate let no point begin');
              return attempt.point;
            },
            onDone: { target: 'writing', actions: assign({ outcome: ({ event }) => event.output }) },
            onError: {
              target: '#sweep.cleaning',
              actions: assign(({ context, event }) => afterError(context, event.error)),
            },
          },
        },
        writing: {
          invoke: {
            src: 'write',
            input: ({ context: { attempt, outcome } }) => ({ attempt, outcome }),
            onDone: [
              {
                // The one place where it is decided whether a point is tried again.
                guard: ({ context, event }) => retryOf(context, event.output) !== null,
                target: 'reopening',
                actions: assign(({ context, event }) => beforeRetry(context, event.output)),
              },
              {
                target: 'keeping',
                actions: assign(({ context, event }) => afterPoint(context, event.output.outcome)),
              },
            ],
            onError: {
              target: '#sweep.cleaning',
              actions: assign(({ context, event }) => afterError(context, event.error)),
            },
          },
        },
        reopening: {
          invoke: {
            src: 'reopen',
            input: ({ context: { attempt } }) => ({ attempt }),
            onDone: 'next',
            onError: {
              target: '#sweep.cleaning',
              actions: assign(({ context, event }) => afterError(context, event.error)),
            },
          },
        },
        keeping: {
          invoke: {
            src: 'keep',
            input: ({ context: { attempt } }) => ({ attempt }),
            onDone: 'next',
            onError: {
              target: '#sweep.cleaning',
              actions: assign(({ context, event }) => afterError(context, event.error)),
            },
          },
        },
        // The result of the last attempt is the point's, though another attempt was to follow.
        givingUp: {
          invoke: {
            src: 'keep',
            input: ({ context: { attempt } }) => ({ attempt }),
            onDone: '#sweep.cleaning',
            onError: '#sweep.cleaning',
          },
        },
      },
    },
    cleaning: {
      entry: enter('cleaning'),
      invoke: { src: 'cleanup', onDone: 'finishing', onError: 'finishing' },
    },
    finishing: {
      entry: enter('finishing'),
      // What is gone now was not needed any more.
      on: { 'sweep.crippled': {}, 'sweep.timeUp': {} },
      invoke: { src: 'finish', onDone: 'finished', onError: 'finished' },
    },
    finished: { type: 'final', entry: enter('finished') },
  },
});

const mustEnd = ({ interruptCode, crippled, aborted }: SweepContext): boolean =>
  interruptCode !== null || crippled || aborted;

const afterError = ({ cause }: SweepContext, error: unknown): Partial<SweepContext> => ({
  crippled: true,
  cause: cause ?? causeOfError(error),
  why: causeOfError(error).summary,
});

function afterGate(context: SweepContext, answer: GateAnswer): Partial<SweepContext> {
  switch (answer.kind) {
    case 'opens':
      return { attempt: answer.attempt, retry: null };
    case 'too late':
      return { interruptCode: answer.exitCode, stopping: true, why: answer.why };
    case 'crippled':
      return {
        crippled: true,
        stopping: true,
        cause: context.cause ?? answer.cause,
        why: answer.cause.summary,
      };
  }
}

/** Why a point is tried again; null: it is over. An attempt that lost a node does not count for the policy. */
function retryOf(context: SweepContext, { outcome, canReplaceLost }: EndedAttempt): Retry | null {
  const { status, cause } = outcome;
  if (status !== 'failed') return null;
  if (canReplaceLost && !context.stopping) return 'lost node';
  if (cause === null) return null;
  return afterFailure(context.policy, [...context.failures, cause]) === 'retry' ? 'policy' : null;
}

/** A failed attempt is not the point's end while another follows, and is then not a cause of the run's failure. */
function beforeRetry(context: SweepContext, ended: EndedAttempt): Partial<SweepContext> {
  const retry = retryOf(context, ended);
  const { cause } = ended.outcome;
  if (retry === 'lost node' || cause === null) return { retry };
  return { retry, failures: [...context.failures, cause] };
}

function afterPoint(context: SweepContext, outcome: PointOutcome): Partial<SweepContext> {
  const { status, cause, result } = outcome;
  const left = context.left.slice(1);
  // Stopping a `manual` point completes it; stopping the last one completes the run.
  if (status === 'done' && left.length === 0 && result?.type === 'manual')
    return { left, done: context.done + 1, failures: [], interruptCode: null };
  if (status === 'done') return { left, done: context.done + 1, failures: [] };
  const over = { left, failed: context.failed + 1, failures: [], cause: context.cause ?? cause };
  if (status === 'interrupted' || cause === null) return over;
  return afterFailure(context.policy, [...context.failures, cause]) === 'abort'
    ? { ...over, aborted: true, why: 'a point failed, and on_failure is abort' }
    : over;
}

/** 3: every point had its turn, and some are done. */
function exitCodeOf({ interruptCode, cause, crippled, aborted, done, failed }: SweepContext): number {
  if (interruptCode !== null) return interruptCode;
  if (failed > 0 && done > 0 && !crippled && !aborted) return 3;
  return cause !== null || failed > 0 ? 1 : 0;
}

const causeOfError = (error: unknown): Cause =>
  error instanceof CausedError
    ? error.causeOf
    : { summary: error instanceof Error ? error.message : String(error) };
