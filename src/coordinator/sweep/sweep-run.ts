import { createActor, type EventObject, fromCallback, fromPromise } from 'xstate';
import type { FleetEvent, PointMoved, Post, RecordEvent } from '../../machines/addresses.ts';
import { pointMachine } from '../../machines/point.ts';
import { sweepMachine } from '../../machines/sweep.ts';
import type { GateAnswer, SweepInput } from '../../machines/sweep-context.ts';
import { EXIT } from '../../os/errors.ts';
import type { Cleaner } from './cleanup.ts';
import type { HostSetup } from './host-setup.ts';

/** The parts of the coordinator behind the actors of the sweep. */
export interface SweepParts {
  readonly boot: { run(signal: AbortSignal): Promise<string> };
  readonly gate: { open(ordinal: number, signal: AbortSignal): Promise<GateAnswer> };
  readonly cleaner: Pick<Cleaner, 'clean' | 'dismissAgents' | 'after'>;
  readonly hostSetup: Pick<HostSetup, 'end'>;
  readonly fleet: { hear(event: FleetEvent): void };
  readonly points: { moved(event: PointMoved): void };
  readonly record: {
    hear(event: Exclude<RecordEvent, PointMoved>): void;
    defect(what: string, error: unknown): void;
  };
  readonly post: Post;
}

/** The actor system of the coordinator, whose root is the sweep. Events that come before it starts wait for it. */
export class SweepRun {
  readonly #actor;
  readonly #exitCode: Promise<number>;

  constructor(parts: SweepParts, input: SweepInput) {
    const { boot, gate, cleaner, hostSetup, fleet, points, record, post } = parts;
    const cleanup = fromPromise(() => cleaner.clean());
    const machine = sweepMachine.provide({
      actors: {
        fleet: listener<FleetEvent>(parts, (event) => fleet.hear(event)),
        record: listener<RecordEvent>(parts, (event) =>
          event.type === 'point.moved' ? points.moved(event) : record.hear(event),
        ),
        boot: fromPromise(({ signal }) => cleaner.after(boot.run(signal))),
        gate: fromPromise(({ input, signal }) => cleaner.after(gate.open(input.ordinal, signal))),
        point: pointMachine.provide({ actors: { cleanup } }),
        cleanup,
        finish: fromPromise(async () => {
          await hostSetup.end().catch((error: unknown) => record.defect('host_setup was not ended', error));
          await cleaner.dismissAgents();
        }),
      },
    });
    const actor = createActor(machine, { input, systemId: 'sweep' });
    post.connect(actor.system);
    this.#actor = actor;
    this.#exitCode = new Promise((resolve) => {
      actor.subscribe({
        complete: () => resolve(actor.getSnapshot().output?.exitCode ?? EXIT.failed),
        error: (error) => {
          record.defect('the sweep machine broke', error);
          resolve(EXIT.broke);
        },
      });
    });
  }

  /** Resolves with the exit code when no process of the job runs any more. */
  run(): Promise<number> {
    this.#actor.start();
    return this.#exitCode;
  }
}

/** An exception would put the sweep in error, because its machine owns the actor. */
const listener = <Event extends EventObject>(
  { record }: Pick<SweepParts, 'record'>,
  hear: (event: Event) => void,
) =>
  fromCallback<Event>(({ receive }) =>
    receive((event) => {
      try {
        hear(event);
      } catch (error) {
        record.defect(`an event was not handled: ${event.type}`, error);
      }
    }),
  );
