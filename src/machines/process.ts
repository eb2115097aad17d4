import { assign, fromCallback, fromPromise, setup } from 'xstate';
import type { ProcessSpec } from '../messages/spec/process-spec.ts';
import { readyAnew } from '../messages/spec/same-process.ts';
import type { ProcessState } from '../messages/spec/states.ts';

export interface ProcessContext {
  readonly spec: ProcessSpec;
  readonly pid: number | null;
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** What the last transition was for; for people. */
  readonly why: string;
  /** What its probe still misses while it starts. */
  readonly missing: string | null;
  /** Set when the process is to be stopped because it failed, not because nobody wants it. */
  readonly failure: string | null;
  /** How long its probes had failed when it became degraded, ms. */
  readonly failingForMs: number;
  /** Types of events that no state expected; tests assert that there are none. */
  readonly unexpected: readonly string[];
}

export type ProcessEvent =
  /** What it needs (its ports, GPUs, and its own name) is free. */
  | { type: 'resources.free' }
  | { type: 'process.spawned'; pid: number }
  | { type: 'process.spawnFailed'; error: string }
  /** `oomKills`: processes that the kernel ended at that moment for lack of memory. */
  | { type: 'process.exited'; exitCode: number | null; signal: string | null; oomKills?: number }
  | { type: 'probe.passed'; detail: string }
  /** `forMs`: how long they have failed already. */
  | { type: 'probe.failed'; detail: string; forMs: number }
  /** While it starts: what is not as it should be yet; and that there is no use in waiting any longer. */
  | { type: 'probe.missed'; detail: string }
  | { type: 'probe.gaveUp'; detail: string }
  /** Another program listens where the process was to listen. */
  | { type: 'port.taken'; detail: string }
  /** It is wanted as the same process, and watched differently. */
  | { type: 'spec.changed'; spec: ProcessSpec }
  /** It is alive, has work, and does not get on with it; `hang.detected` follows when it was looked into. */
  | { type: 'hang.suspected'; detail: string }
  | { type: 'hang.detected'; detail: string }
  /** Its log says that it is of no use any more. */
  | { type: 'log.fatal'; line: string }
  /** It is not wanted any more. */
  | { type: 'stop'; why: string };

interface Input {
  readonly spec: ProcessSpec;
}

/** What the machine asks of the world; given by node-agent/, replaced by recorders in tests. */
export interface ProbeInput {
  readonly spec: ProcessSpec;
  /** `startup`: often, from 250 ms up; `liveness`: seldom. */
  readonly phase: 'startup' | 'liveness';
}

const ended = (event: ProcessEvent): string =>
  event.type !== 'process.exited'
    ? ''
    : event.signal !== null
      ? `ended by ${event.signal}${event.oomKills ? ': out of memory (the kernel counts an oom_kill at that moment)' : ''}`
      : `ended with exit code ${event.exitCode}`;

/**
 * The life of one OS process. What exists in the world exists exactly as long as the state `live` is not left, and
 * there is one way out of it: the process has exited. The machine spawns nothing and holds no timer of its own.
 */
export const processMachine = setup({
  types: {
    context: {} as ProcessContext,
    events: {} as ProcessEvent,
    input: {} as Input,
  },
  actors: {
    /** Makes directories and files; rejects with a sentence for a person. */
    prepare: fromPromise<void, Input>(() => Promise.reject(new Error('no implementation of prepare'))),
    /** Spawns, and tells of spawned, spawnFailed and exited. Leaving `live` early is not possible. */
    life: fromCallback<ProcessEvent, Input>(() => undefined),
    /** Tells of each probe that passed or failed. */
    probe: fromCallback<ProcessEvent, ProbeInput>(() => undefined),
  },
  actions: {
    /** SIGTERM to the main process alone: it ends its children in the order that it wants. */
    terminate: (_, _params: Input) => {},
    /** SIGTERM to the process group. */
    terminateAll: (_, _params: Input) => {},
    /** SIGKILL to the process group and to what carries its mark. */
    kill: (_, _params: Input) => {},
    noteUnexpected: assign({
      unexpected: ({ context, event }) => [...context.unexpected, event.type].slice(-20),
    }),
    takeSpec: assign({
      spec: ({ context, event }) => (event.type === 'spec.changed' ? event.spec : context.spec),
    }),
    noteHang: assign({
      failure: 'hung',
      why: ({ context, event }) => (event.type === 'hang.detected' ? event.detail : context.why),
    }),
    notePortTaken: assign({
      failure: 'its port is taken',
      why: ({ context, event }) => (event.type === 'port.taken' ? event.detail : context.why),
    }),
    noteFatalLine: assign({
      failure: 'a fatal line in its log',
      why: ({ context, event }) => (event.type === 'log.fatal' ? `its log says: ${event.line}` : context.why),
    }),
    noteExit: assign({
      exitCode: ({ event }) => (event.type === 'process.exited' ? event.exitCode : null),
      signal: ({ event }) => (event.type === 'process.exited' ? event.signal : null),
    }),
  },
  guards: {
    mustBecomeReadyAnew: ({ context, event }) =>
      event.type === 'spec.changed' && readyAnew(context.spec, event.spec),
    hasFailed: ({ context }) => context.failure !== null,
    mustEnd: ({ context }) => context.spec.endTimeoutMs !== undefined,
    completed: ({ context, event }) =>
      event.type === 'process.exited' && context.spec.terminates && event.exitCode === 0,
  },
  delays: {
    startTimeout: ({ context }) => clampDelay(context.spec.startTimeoutMs),
    endTimeout: ({ context }) => clampDelay(context.spec.endTimeoutMs ?? Number.POSITIVE_INFINITY),
    unhealthyAfter: ({ context }) => clampDelay(context.spec.unhealthyAfterMs - context.failingForMs),
    grace: ({ context }) => clampDelay(context.spec.graceMs),
    alone: ({ context }) => clampDelay(context.spec.graceMs - lastPart(context.spec)),
    together: ({ context }) => clampDelay(lastPart(context.spec)),
  },
}).createMachine({
  id: 'process',
  context: ({ input }) => ({
    spec: input.spec,
    pid: null,
    exitCode: null,
    signal: null,
    why: 'wanted',
    missing: null,
    failure: null,
    failingForMs: 0,
    unexpected: [],
  }),
  initial: 'waiting',
  on: { 'spec.changed': { actions: 'takeSpec' }, '*': { actions: 'noteUnexpected' } },
  states: {
    waiting: {
      on: {
        'resources.free': { target: 'preparing', actions: assign({ why: 'what it needs is free' }) },
        stop: { target: 'stopped', actions: assign({ why: ({ event }) => event.why }) },
      },
    },
    preparing: {
      invoke: {
        src: 'prepare',
        input: ({ context }) => ({ spec: context.spec }),
        onDone: { target: 'live', actions: assign({ why: 'files are in place' }) },
        onError: {
          target: 'failed',
          actions: assign({ why: ({ event }) => messageOf(event.error), failure: 'could not be prepared' }),
        },
      },
      on: { stop: { target: 'stopped', actions: assign({ why: ({ event }) => event.why }) } },
    },
    live: {
      invoke: { src: 'life', input: ({ context }) => ({ spec: context.spec }) },
      initial: 'starting',
      on: {
        'process.spawned': { actions: assign({ pid: ({ event }) => event.pid }) },
        'process.spawnFailed': {
          target: 'failed',
          actions: assign({ why: ({ event }) => event.error, failure: 'could not be started' }),
        },
        'process.exited': [
          {
            guard: 'completed',
            target: 'stopped',
            actions: ['noteExit', assign({ why: 'completed' })],
          },
          {
            target: 'failed',
            actions: [
              'noteExit',
              assign({ why: ({ event }) => ended(event), failure: 'ended while it was wanted' }),
            ],
          },
        ],
        stop: { target: '.stopping', actions: assign({ why: ({ event }) => event.why }) },
        'spec.changed': [
          {
            guard: 'mustBecomeReadyAnew',
            target: '.starting',
            actions: ['takeSpec', assign({ why: 'what it serves with has changed' })],
          },
          { actions: 'takeSpec' },
        ],
        // A last answer of a probe whose state was just left.
        'probe.passed': {},
        'probe.failed': {},
        'probe.missed': {},
        'probe.gaveUp': {},
        'port.taken': {},
        'hang.suspected': {},
        'hang.detected': {},
        'log.fatal': {},
      },
      states: {
        starting: {
          entry: assign({ missing: null }),
          invoke: { src: 'probe', input: ({ context }) => ({ spec: context.spec, phase: 'startup' }) },
          on: {
            'probe.passed': { target: 'ready', actions: assign({ why: ({ event }) => event.detail }) },
            'probe.missed': { actions: assign({ missing: ({ event }) => event.detail }) },
            'probe.gaveUp': {
              target: 'stopping',
              actions: assign({
                failure: 'not ready',
                why: ({ event }) => `not ready: ${event.detail}`,
              }),
            },
            'port.taken': { target: 'stopping', actions: 'notePortTaken' },
            'log.fatal': { target: 'stopping.insisted', actions: 'noteFatalLine' },
          },
          after: {
            startTimeout: {
              target: 'stopping',
              actions: assign({
                failure: 'start timeout',
                why: ({ context: { spec, missing } }) =>
                  `not ready after ${spec.startTimeoutMs / 1000} s${missing === null ? '' : `: ${missing}`}`,
              }),
            },
          },
        },
        ready: {
          invoke: { src: 'probe', input: ({ context }) => ({ spec: context.spec, phase: 'liveness' }) },
          on: {
            'probe.failed': {
              target: 'degraded',
              actions: assign({
                why: ({ event }) => event.detail,
                failingForMs: ({ event }) => event.forMs,
              }),
            },
            'hang.suspected': {
              target: 'degraded',
              actions: assign({ why: ({ event }) => event.detail, failingForMs: 0 }),
            },
            'hang.detected': { target: 'stopping', actions: 'noteHang' },
            'port.taken': { target: 'stopping', actions: 'notePortTaken' },
            'log.fatal': { target: 'stopping.insisted', actions: 'noteFatalLine' },
          },
          after: {
            endTimeout: {
              guard: 'mustEnd',
              target: 'stopping',
              actions: assign({
                failure: 'end timeout',
                why: ({ context }) => `has not ended after ${(context.spec.endTimeoutMs ?? 0) / 1000} s`,
              }),
            },
          },
        },
        degraded: {
          invoke: { src: 'probe', input: ({ context }) => ({ spec: context.spec, phase: 'liveness' }) },
          on: {
            'probe.passed': { target: 'ready', actions: assign({ why: ({ event }) => event.detail }) },
            'hang.detected': { target: 'stopping', actions: 'noteHang' },
            'port.taken': { target: 'stopping', actions: 'notePortTaken' },
            'log.fatal': { target: 'stopping.insisted', actions: 'noteFatalLine' },
          },
          after: {
            unhealthyAfter: {
              target: 'stopping',
              actions: assign({
                failure: 'unhealthy',
                why: ({ context }) =>
                  `unhealthy for ${context.spec.unhealthyAfterMs / 1000} s: ${context.why}`,
              }),
            },
          },
        },
        stopping: {
          entry: { type: 'terminate', params: ({ context }) => ({ spec: context.spec }) },
          initial: 'asked',
          on: {
            stop: {},
            'spec.changed': { actions: 'takeSpec' },
            'process.exited': [
              { guard: 'hasFailed', target: '#process.failed', actions: 'noteExit' },
              { target: '#process.stopped', actions: 'noteExit' },
            ],
          },
          states: {
            asked: { after: { alone: 'insisted' } },
            // Here at once when it is of no use any more: it is not given the time to end what it has begun.
            insisted: {
              entry: { type: 'terminateAll', params: ({ context }) => ({ spec: context.spec }) },
              after: { together: 'forced' },
            },
            forced: {
              entry: { type: 'kill', params: ({ context }) => ({ spec: context.spec }) },
              // SIGKILL is asked for again: a process may be in an uninterruptible wait for a while.
              after: { grace: { target: 'forced', reenter: true } },
            },
          },
        },
      },
    },
    stopped: { type: 'final' },
    failed: { type: 'final' },
  },
});

/** Of the grace, how long the whole group is given after its main process has been asked in vain. */
const lastPart = ({ graceMs }: ProcessSpec): number => Math.min(graceMs / 2, 5_000);

/** Node fires a timer of 2^31 ms or more at once. */
const clampDelay = (ms: number): number => Math.min(Math.max(ms, 1), 2_147_483_647);

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** The name of a snapshot's state, as it is told on the bus. */
export function processStateOf(value: unknown): ProcessState {
  if (typeof value === 'string') return value as ProcessState;
  const live = (value as { live: string | Record<string, unknown> }).live;
  return (typeof live === 'string' ? live : Object.keys(live)[0]) as ProcessState;
}

export type ProcessMachine = typeof processMachine;
