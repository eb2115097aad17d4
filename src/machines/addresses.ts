import type { AnyActorRef } from 'xstate';
import type { ProcessReport } from '../messages/events/control.ts';
import type { ClockOffset } from '../messages/events/events.ts';
import type { Cause } from '../messages/job-directory/result.ts';
import type { RestartPolicy } from '../messages/spec/process-spec.ts';
import type { PointState, SweepState } from '../messages/spec/states.ts';

export type SweepEvent =
  /** The user stops the job, or the point gate refuses a point for lack of time. */
  | { type: 'sweep.interrupt'; why: string; exitCode: number }
  /** The allocation is about to end. Has no effect on a run that is being stopped already. */
  | { type: 'sweep.timeUp'; why: string; exitCode: number }
  /** No further point can run, because the bus is gone or refuses the coordinator. */
  | { type: 'sweep.crippled'; cause: Cause };

export type PointEvent =
  /** A critical process ended or an agent was lost. `cause` is the first of them. */
  { type: 'point.broken'; cause: Cause } | { type: 'point.interrupt'; why: string };

export type FleetEvent =
  /** What an agent runs now, from a hello or a heartbeat. */
  | { type: 'agent.reports'; node: string; reports: readonly ProcessReport[] }
  /** A process changed its state, from the stream of events, which may be of the previous run. */
  | { type: 'process.moved'; node: string; report: ProcessReport }
  /** A worker has ended and will start again in `delayMs`: none of its processes is wanted until then. */
  | {
      type: 'endpoint.rest';
      policy: RestartPolicy;
      /** The number of the restart in the job, from 1. */
      number: number;
      delayMs: number;
      cause: Cause;
    }
  | { type: 'endpoint.start'; endpoint: string; number: number };

export type RestartEvent =
  /** A process of an endpoint with a restart policy ended while it was wanted. `clean`: by itself, with exit code 0. */
  | { type: 'worker.ended'; policy: RestartPolicy; cause: Cause; critical: boolean; clean: boolean }
  /** No process is wanted any more. */
  | { type: 'workers.released' };

/** A machine has entered a state. */
export interface SweepMoved {
  type: 'sweep.moved';
  from: SweepState;
  to: SweepState;
  why: string;
  /** null before the run has finished. */
  exitCode: number | null;
  cause: Cause | null;
}
export interface PointMoved {
  type: 'point.moved';
  ordinal: number;
  name: string;
  /** From 1. */
  attempt: number;
  from: PointState | null;
  to: PointState;
  why: string;
  cause: Cause | null;
}
export type RecordEvent =
  | SweepMoved
  | PointMoved
  | { type: 'sweep.interrupted'; why: string }
  | { type: 'clock.measured'; offset: ClockOffset }
  /** A machine got an event that its state does not handle. */
  | { type: 'event.unexpected'; actor: string; event: string };

/** The actors that others may send events to, by systemId, and the events of each. */
export interface Addresses {
  sweep: SweepEvent;
  point: PointEvent;
  fleet: FleetEvent;
  restarts: RestartEvent;
  record: RecordEvent;
}

/** Shared by all actors of one root. */
interface System {
  get(systemId: string): AnyActorRef | undefined;
}

/** Sends an event to an actor. Nothing happens when it does not exist: no point may be running. */
export function tell<Name extends keyof Addresses>(system: System, to: Name, event: Addresses[Name]): void {
  system.get(to)?.send(event);
}

/** The same for parts of the coordinator that are not actors, and are made before the actors are. */
export class Post {
  #system: System | undefined;

  connect(system: System): void {
    this.#system = system;
  }

  tell<Name extends keyof Addresses>(to: Name, event: Addresses[Name]): void {
    if (this.#system) tell(this.#system, to, event);
  }
}
