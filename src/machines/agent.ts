import { assign, setup } from 'xstate';

export interface AgentContext {
  readonly node: string;
  readonly why: string;
  /** Silence after which an agent is suspect, ms. */
  readonly suspectAfterMs: number;
  /** Silence after which an agent is lost, ms. */
  readonly lostAfterMs: number;
  /** How long a broken connection may take to come back, ms. */
  readonly reconnectMs: number;
  readonly disconnected: boolean;
  readonly unexpected: readonly string[];
}

export type AgentEvent =
  | { type: 'agent.hello' }
  | { type: 'agent.heartbeat' }
  /** The server saw the agent's connection end. */
  | { type: 'agent.disconnected'; reason: string }
  /** No message came for `ms`, by the coordinator's monotonic clock less its own lag. */
  | { type: 'agent.silent'; ms: number }
  | { type: 'agent.left' }
  /** The launcher saw the agent's process end. */
  | { type: 'agent.ended'; reason: string; isOrderly: boolean }
  | { type: 'join.timeout'; ms: number };

/**
 * The coordinator's view of one agent. Silence is judged patiently and a closed connection quickly, because a busy machine
 * may be late but does not close a socket.
 */
export const agentMachine = setup({
  types: {
    context: {} as AgentContext,
    events: {} as AgentEvent,
    input: {} as { node: string; suspectAfterMs: number; lostAfterMs: number; reconnectMs: number },
  },
  actions: {
    noteUnexpected: assign({
      unexpected: ({ context, event }) => [...context.unexpected, event.type].slice(-20),
    }),
    noteEnd: assign({
      why: ({ context, event }) => (event.type === 'agent.ended' ? event.reason : context.why),
    }),
  },
  guards: {
    isOrderly: ({ event }) => event.type === 'agent.ended' && event.isOrderly,
    isSuspect: ({ context, event }) => event.type === 'agent.silent' && event.ms >= context.suspectAfterMs,
    isLost: ({ context, event }) =>
      event.type === 'agent.silent' &&
      (event.ms >= context.lostAfterMs || (context.disconnected && event.ms >= context.reconnectMs)),
  },
}).createMachine({
  id: 'agent',
  context: ({ input }) => ({ ...input, why: 'allocated', disconnected: false, unexpected: [] }),
  initial: 'expected',
  on: { '*': { actions: 'noteUnexpected' } },
  states: {
    expected: {
      on: {
        'agent.hello': { target: 'joined', actions: assign({ why: 'said hello' }) },
        'agent.heartbeat': {},
        'agent.silent': {},
        'agent.disconnected': {},
        'agent.left': { target: 'left', actions: assign({ why: 'ended before it joined' }) },
        'agent.ended': { target: 'lost', actions: assign({ why: ({ event }) => event.reason }) },
        'join.timeout': {
          target: 'lost',
          actions: assign({ why: ({ event }) => `did not say hello within ${event.ms / 1000} s` }),
        },
      },
    },
    joined: {
      on: {
        'agent.hello': { actions: assign({ disconnected: false }) },
        'agent.heartbeat': {},
        'agent.disconnected': {
          target: 'suspect',
          actions: assign({ disconnected: true, why: ({ event }) => `connection ended (${event.reason})` }),
        },
        'agent.silent': {
          guard: 'isSuspect',
          target: 'suspect',
          actions: assign({ why: ({ event }) => `no heartbeat for ${(event.ms / 1000).toFixed(1)} s` }),
        },
        'agent.left': { target: 'left', actions: assign({ why: 'said goodbye' }) },
        'agent.ended': [
          // The agent's goodbye may have been lost on the way.
          { guard: 'isOrderly', target: 'left', actions: 'noteEnd' },
          { target: 'lost', actions: 'noteEnd' },
        ],
        'join.timeout': {},
      },
    },
    suspect: {
      on: {
        'agent.hello': {
          target: 'joined',
          actions: assign({ disconnected: false, why: 'said hello again' }),
        },
        'agent.heartbeat': {
          target: 'joined',
          actions: assign({ disconnected: false, why: 'heartbeats again' }),
        },
        'agent.disconnected': {
          actions: assign({ disconnected: true }),
        },
        'agent.silent': {
          guard: 'isLost',
          target: 'lost',
          actions: assign({
            why: ({ context, event }) =>
              context.disconnected
                ? 'its connection ended and did not come back'
                : `no heartbeat for ${(event.ms / 1000).toFixed(1)} s`,
          }),
        },
        'agent.left': { target: 'left', actions: assign({ why: 'said goodbye' }) },
        'agent.ended': [
          // The agent's goodbye may have been lost on the way.
          { guard: 'isOrderly', target: 'left', actions: 'noteEnd' },
          { target: 'lost', actions: 'noteEnd' },
        ],
        'join.timeout': {
          target: 'lost',
          actions: assign({
            why: ({ event }) => `was there and did not come back within ${event.ms / 1000} s`,
          }),
        },
      },
    },
    lost: { on: { '*': {} } },
    left: { on: { '*': {} } },
  },
});
