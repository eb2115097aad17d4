import { assign, enqueueActions, setup } from 'xstate';
import { type RestartEvent, tell } from './addresses.ts';
import { afterEnd } from './restart-policy.ts';

/** What a coordinator that takes over knows of the restarts of its predecessor. */
export interface RestartsInput {
  /** How often each endpoint has started again. */
  readonly numbers: Readonly<Record<string, number>>;
  /** Endpoints that are to start again, and when. */
  readonly waiting: readonly {
    readonly endpoint: string;
    readonly number: number;
    readonly leftMs: number;
  }[];
}

interface RestartsContext {
  readonly numbers: Readonly<Record<string, number>>;
  /** Endpoints between their end and their restart. */
  readonly waiting: readonly string[];
  /** Those of the previous coordinator. */
  readonly before: RestartsInput['waiting'];
  readonly unexpected: readonly string[];
}

/** Node fires a timer of 2^31 ms or more at once. */
const clampDelay = (ms: number): number => Math.min(Math.max(ms, 1), 2_147_483_647);

/**
 * Decides whether a worker that has ended starts again, and when. One for all endpoints and for the whole job, because the
 * limit is of the job. A worker that does not start again is handled as one without a policy.
 */
export const restartsMachine = setup({
  types: {
    context: {} as RestartsContext,
    events: {} as RestartEvent | { type: 'backoff.over'; endpoint: string },
    input: {} as RestartsInput | undefined,
  },
  actions: {
    decide: enqueueActions(({ context, event, enqueue }) => {
      if (event.type !== 'worker.ended') return;
      const { policy, cause, critical, clean } = event;
      const { endpoint } = policy;
      if (context.waiting.includes(endpoint)) return;
      const decision = afterEnd(policy, context.numbers[endpoint] ?? 0, clean);
      if (decision.is === 'over') {
        const summary = `${cause.summary}; ${decision.why}`;
        if (critical)
          enqueue(({ system }) =>
            tell(system, 'point', { type: 'point.broken', cause: { ...cause, summary } }),
          );
        return;
      }
      const { number, delayMs } = decision;
      enqueue.assign({
        numbers: { ...context.numbers, [endpoint]: number },
        waiting: [...context.waiting, endpoint],
      });
      enqueue.raise({ type: 'backoff.over', endpoint }, { delay: clampDelay(delayMs), id: endpoint });
      enqueue(({ system }) =>
        tell(system, 'fleet', { type: 'endpoint.rest', policy, number, delayMs, cause }),
      );
    }),
    startAgain: enqueueActions(({ context, event, enqueue }) => {
      if (event.type !== 'backoff.over') return;
      const { endpoint } = event;
      const number = context.numbers[endpoint] ?? 1;
      enqueue.assign({ waiting: context.waiting.filter((other) => other !== endpoint) });
      enqueue(({ system }) => tell(system, 'fleet', { type: 'endpoint.start', endpoint, number }));
    }),
    waitAsBefore: enqueueActions(({ context, enqueue }) => {
      for (const { endpoint, leftMs } of context.before)
        enqueue.raise({ type: 'backoff.over', endpoint }, { delay: clampDelay(leftMs), id: endpoint });
    }),
    /** A restart that does not happen is not counted. */
    forgetWaiting: enqueueActions(({ context, enqueue }) => {
      const numbers = { ...context.numbers };
      for (const endpoint of context.waiting) {
        enqueue.cancel(endpoint);
        numbers[endpoint] = (numbers[endpoint] ?? 1) - 1;
      }
      enqueue.assign({ numbers, waiting: [] });
    }),
    noteUnexpected: assign({
      unexpected: ({ context, event }) => [...context.unexpected, event.type].slice(-20),
    }),
  },
}).createMachine({
  id: 'restarts',
  context: ({ input }) => ({
    numbers: input?.numbers ?? {},
    before: input?.waiting ?? [],
    waiting: (input?.waiting ?? []).map(({ endpoint }) => endpoint),
    unexpected: [],
  }),
  entry: 'waitAsBefore',
  on: {
    'worker.ended': { actions: 'decide' },
    'backoff.over': { actions: 'startAgain' },
    'workers.released': { actions: 'forgetWaiting' },
    '*': { actions: 'noteUnexpected' },
  },
});
