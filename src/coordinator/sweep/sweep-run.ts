import { createActor, fromPromise } from 'xstate';
import { type PointOutcome, topState } from '../../machines/point.ts';
import { type SweepInput, sweepMachine } from '../../machines/sweep.ts';
import type { Cause } from '../../messages/job-directory/result.ts';
import type { SweepState } from '../../messages/spec/states.ts';

export interface SweepRunOptions {
  readonly input: SweepInput;
  /** Resolves with how it went, for people. */
  readonly boot: (signal: AbortSignal) => Promise<string>;
  readonly point: (ordinal: number, attempt: number) => Promise<PointOutcome>;
  readonly cleanup: () => Promise<void>;
  readonly finish: () => Promise<void>;
  /** Not told of the first state. `exitCode` is there in the last one. */
  readonly onTransition: (
    from: SweepState,
    to: SweepState,
    why: string,
    exitCode: number | null,
    cause: Cause | null,
  ) => void;
  readonly onDefect: (what: string, error: unknown) => void;
}

export interface SweepRun {
  interrupt(why: string, exitCode: number): void;
  crippled(cause: Cause): void;
  /** Resolves with the exit code when nothing of the job runs any more. */
  readonly exitCode: Promise<number>;
}

/** Runs the sweep machine with its actors provided. */
export function startSweep(options: SweepRunOptions): SweepRun {
  const machine = sweepMachine.provide({
    actors: {
      boot: fromPromise(({ signal }) => options.boot(signal)),
      point: fromPromise(({ input }) => options.point(input.ordinal, input.attempt)),
      cleanup: fromPromise(() => options.cleanup()),
      finish: fromPromise(() => options.finish()),
    },
  });
  const actor = createActor(machine, { input: options.input });
  let state: SweepState | null = null;
  const exitCode = new Promise<number>((resolve) => {
    actor.subscribe({
      next: (snapshot) => {
        const next = topState(snapshot.value) as SweepState;
        const code = snapshot.status === 'done' ? snapshot.output.exitCode : null;
        const from = state ?? next;
        state = next;
        const { why, cause } = snapshot.context;
        if (from !== next) options.onTransition(from, next, why, code, cause);
        if (code !== null) resolve(code);
      },
      error: (error) => {
        options.onDefect('the sweep machine broke', error);
        resolve(70);
      },
    });
    actor.start();
  });
  return {
    interrupt: (why, code) => actor.send({ type: 'sweep.interrupt', why, exitCode: code }),
    crippled: (cause) => actor.send({ type: 'sweep.crippled', cause }),
    exitCode,
  };
}
