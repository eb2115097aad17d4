import { assign, fromCallback, fromPromise, setup } from 'xstate';
import { hasSucceeded, type ProcessSpec } from '../messages/spec/process-spec.ts';
import { readyAnew } from '../messages/spec/same-process.ts';
import type { ProcessState } from '../messages/spec/states.ts';

export interface ProcessContext {
  readonly spec: ProcessSpec;
  readonly pid: number | null;
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** Reason of the last transition; for people. */
  readonly why: string;
  /** What the process's probe still finds missing during the start. */
  readonly missing: string | null;
  /** Set when the process is stopped because it failed, and not because it is no longer wanted. */
  readonly failure: string | null;
  /** How long its probes had failed when it became degraded, ms. */
  readonly failingForMs: number;
  /** Types of events that no state expected; tests assert that the list is empty. */
  readonly unexpected: readonly string[];
}

export type ProcessEvent =
  /** Its ports, its GPUs and its name are free. */
  | { type: 'resources.free' }
  | { type: 'process.spawned'; pid: number }
  | { type: 'process.spawnFailed'; error: string }
  /** `oomKills`: processes that the kernel's OOM killer ended at that moment. */
  | { type: 'process.exited'; exitCode: number | null; signal: string | null; oomKills?: number }
  | { type: 'probe.passed'; detail: string }
  /** `forMs`: how long its probes have failed. */
  | { type: 'probe.failed'; detail: string; forMs: number }
  /** During the start: what the probe still finds missing; or that waiting longer is useless. */
  | { type: 'probe.missed'; detail: string }
  | { type: 'probe.gaveUp'; detail: string }
  /** Another program listens on its port. */
  | { type: 'port.taken'; detail: string }
  /** Its new spec describes the same process with other monitoring. */
  | { type: 'spec.changed'; spec: ProcessSpec }
  /** The process has work and makes no progress; `hang.detected` follows after the investigation. */
  | { type: 'hang.suspected'; detail: string }
  | { type: 'hang.detected'; detail: string }
  /** A line in the process's log shows that the process can no longer serve. */
  | { type: 'log.fatal'; line: string }
  /** The process is no longer wanted. */
  | { type: 'stop'; why: string };

interface Input {
  readonly spec: ProcessSpec;
}

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
 * The life of one OS process. The OS process exists exactly while the machine is in `live`, and `live` has
 * one way out: the process has exited. The machine spawns nothing and holds no timer of its own.
 */
export const processMachine = setup({
  types: {
    context: {} as ProcessContext,
    events: {} as ProcessEvent,
    input: {} as Input,
  },
  actors: {
    /** Creates directories and files; rejects with a sentence for a person. */
    prepare: fromPromise<void, Input>(() => Promise.reject(new Error('no implementation of prepare'))),
    /** Spawns the process and sends spawned, spawnFailed and exited. `live` cannot be left early. */
    life: fromCallback<ProcessEvent, Input>(() => undefined),
    /** Sends an event for each probe that passed or failed. */
    probe: fromCallback<ProcessEvent, ProbeInput>(() => undefined),
  },
  actions: {
    /** SIGTERM to the main process alone, which ends its children in its own order. */
    terminate: (_, _params: Input) => {},
    /** SIGTERM to the process group. */
    terminateAll: (_, _params: Input) => {},
    /** SIGKILL to the process group and to every process with its mark. */
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
    /** It may end when it is ready, and was not. */
    endedTooEarly: ({ context: { spec }, event }) =>
      event.type === 'process.exited' &&
      event.exitCode === 0 &&
      !spec.terminates &&
      spec.mayEnd === true &&
      spec.probe.kind !== 'running',
    completed: ({ context, event }) =>
      event.type === 'process.exited' && hasSucceeded(context.spec, event.exitCode),
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
        'resources.free': { target: 'preparing', actions: assign({ why: 'its ports and GPUs are free' }) },
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
            actions: ['takeSpec', assign({ why: 'its probe or its dependency has changed' })],
          },
          { actions: 'takeSpec' },
        ],
        // A late answer of a probe whose state was just left.
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
            'process.exited': [
              {
                guard: 'endedTooEarly',
                target: '#process.failed',
                actions: [
                  'noteExit',
                  assign({ why: 'ended with exit code 0 before it was ready', failure: 'ended too early' }),
                ],
              },
              {
                guard: 'completed',
                target: '#process.stopped',
                actions: ['noteExit', assign({ why: 'completed' })],
              },
              {
                target: '#process.failed',
                actions: [
                  'noteExit',
                  assign({ why: ({ event }) => ended(event), failure: 'ended while it was wanted' }),
                ],
              },
            ],
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
                why: ({ context }) => `did not end within ${(context.spec.endTimeoutMs ?? 0) / 1000} s`,
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
            // Entered at once when the process can no longer serve: it gets no time to finish its requests.
            insisted: {
              entry: { type: 'terminateAll', params: ({ context }) => ({ spec: context.spec }) },
              after: { together: 'forced' },
            },
            forced: {
              entry: { type: 'kill', params: ({ context }) => ({ spec: context.spec }) },
              // SIGKILL is repeated, because a process may be in an uninterruptible wait for a while.
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

/** The last part of the grace: when the main process has not ended, the whole group gets SIGTERM. */
const lastPart = ({ graceMs }: ProcessSpec): number => Math.min(graceMs / 2, 5_000);

/** Node fires a timer of 2^31 ms or more at once. */
const clampDelay = (ms: number): number => Math.min(Math.max(ms, 1), 2_147_483_647);

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** The state's name on the bus. */
export function processStateOf(value: unknown): ProcessState {
  if (typeof value === 'string') return value as ProcessState;
  const live = (value as { live: string | Record<string, unknown> }).live;
  return (typeof live === 'string' ? live : Object.keys(live)[0]) as ProcessState;
}

export type ProcessMachine = typeof processMachine;
