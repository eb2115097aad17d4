import type { RosterParts } from '../../src/coordinator/agents/roster.ts';
import { WorkerRestarts } from '../../src/coordinator/workers/worker-restarts.ts';
import type { Addresses } from '../../src/machines/addresses.ts';
import type { ProcessReport } from '../../src/messages/events/control.ts';
import type { Cause } from '../../src/messages/job-directory/result.ts';

type Heard = { [Name in keyof Addresses]?: (event: Addresses[Name]) => void };

/** A post whose events go to the functions of a test; all others are dropped. */
export const postTo = (heard: Heard) => ({
  tell<Name extends keyof Addresses>(to: Name, event: Addresses[Name]): void {
    heard[to]?.(event);
  },
});

/** A post for events that break a point. */
export const brokenTo = (tell: (cause: Cause) => void) =>
  postTo({
    point: (event) => {
      if (event.type === 'point.broken') tell(event.cause);
    },
  });

/** Parts of a roster that report their calls to a test. */
export const rosterParts = (
  told: {
    readonly onTransition?: RosterParts['record']['agent'];
    readonly onReports?: (node: string, reports: readonly ProcessReport[]) => void;
    readonly onDefect?: RosterParts['record']['defect'];
  } = {},
): RosterParts => ({
  record: { agent: told.onTransition ?? (() => {}), defect: told.onDefect ?? (() => {}) },
  post: postTo({
    fleet: (event) => {
      if (event.type === 'agent.reports') told.onReports?.(event.node, event.reports);
    },
  }),
});

/** No worker has started again yet. */
export const noRestarts = (): WorkerRestarts =>
  new WorkerRestarts({
    record: { send: () => undefined },
    clock: { date: () => new Date() },
    ...{ found: [], goesOn: false },
  });
