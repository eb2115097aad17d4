import { assign, fromCallback, fromPromise, raise, setup } from 'xstate';
import type { Cause } from '../messages/job-directory/result.ts';
import type { SweepState } from '../messages/spec/states.ts';
import { type FleetEvent, type RecordEvent, type SweepEvent, tell } from './addresses.ts';
import { CONTINUE } from './failure-policy.ts';
import { type PointOutcome, pointMachine } from './point.ts';
import { restartsMachine } from './restarts.ts';
import { beforeRetry, retryOf } from './retry.ts';
import {
  type Attempt,
  afterError,
  afterGate,
  afterPoint,
  type EndedAttempt,
  exitCodeOf,
  type GateAnswer,
  mustEnd,
  type SweepContext,
  type SweepInput,
  withoutRetry,
} from './sweep-context.ts';

interface AttemptInput {
  readonly attempt: Attempt | null;
}
interface EndInput extends AttemptInput {
  readonly outcome: PointOutcome | null;
}

const notProvided = () => Promise.reject(new Error('not provided'));

/** The entry action of a state, which reports the state to the record. */
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
    /** Knows the wanted processes, and reports the first failure to the point. */
    fleet: fromCallback<FleetEvent>(() => undefined),
    /** Writes down what the machines report. */
    record: fromCallback<RecordEvent>(() => undefined),
    /** Decides whether a worker that has ended starts again. */
    restarts: restartsMachine,
    /** Connects to the bus, starts the agents and waits for them; resolves with a summary. */
    boot: fromPromise<string>(notProvided),
    /** Makes sure that there is time for a point, and an agent on each node. */
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
    /** Ends the agents, and writes what needs the bus. */
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
    giveUpRetry: assign(({ context }) => withoutRetry(context)),
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
    restarts: input.restarts,
    done: input.done ?? 0,
    failed: input.failed ?? 0,
    attempt: null,
    outcome: null,
    failures: [],
    retry: null,
    aborted: false,
    why: 'submitted',
    cause: input.cause ?? null,
    failedCode: null,
    interruptCode: null,
    crippled: false,
    stopping: false,
    told: 'booting',
    unexpected: [],
  }),
  invoke: [
    { src: 'fleet', systemId: 'fleet' },
    { src: 'record', systemId: 'record' },
    { src: 'restarts', systemId: 'restarts', input: ({ context }) => context.restarts },
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
        // The cause of the failed attempt may need a moment to pass.
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
                // Asked here alone; retry.ts decides.
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
        // The result of the last attempt becomes the point's result, although another attempt was planned.
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
      // The run no longer needs agents or nodes that are lost now.
      on: { 'sweep.crippled': {}, 'sweep.timeUp': {} },
      invoke: { src: 'finish', onDone: 'finished', onError: 'finished' },
    },
    finished: { type: 'final', entry: enter('finished') },
  },
});
