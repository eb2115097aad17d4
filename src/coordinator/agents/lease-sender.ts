import type { Post } from '../../machines/addresses.ts';
import type { Bus } from '../../messages/bus/bus.ts';
import type { Lease } from '../../messages/events/control.ts';
import { WIRE_VERSION } from '../../messages/events/events.ts';
import type { Subjects } from '../../messages/events/subjects.ts';
import type { Epoch, Generation } from '../../messages/spec/counters.ts';
import { EXIT } from '../../os/errors.ts';
import type { SteadyClock } from '../../os/steady-clock.ts';
import type { AliveFile } from '../record/alive-file.ts';
import type { EpochLock } from '../takeover/epoch-lock.ts';
import type { Roster, Supervision } from './roster.ts';

export interface LeaseSenderOptions {
  readonly epoch: Epoch;
  readonly bus: Pick<Bus, 'publish'>;
  readonly subjects: Subjects;
  readonly roster: Pick<Roster, 'lost' | 'replaced'>;
  readonly fleet: { readonly generation: Generation };
  readonly epochLock: Pick<EpochLock, 'check' | 'touch'>;
  readonly aliveFile: Pick<AliveFile, 'tick'>;
  readonly timeBudget: { isOver(now: number): string | null };
  readonly clock: Pick<SteadyClock, 'now'>;
  readonly supervision: Pick<Supervision, 'heartbeatMs'>;
  readonly post: Pick<Post, 'tell'>;
}

/** Renews the lease of every agent once a second, as long as this coordinator is in charge. */
export class LeaseSender {
  readonly #options: LeaseSenderOptions;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: LeaseSenderOptions) {
    this.#options = options;
  }

  begin(): void {
    this.#timer = setInterval(() => this.#send(), this.#options.supervision.heartbeatMs);
    this.#send();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #send(): void {
    const { epoch, bus, subjects, roster, fleet, epochLock, aliveFile } = this.#options;
    epochLock.check();
    epochLock.touch();
    aliveFile.tick();
    this.#checkTime();
    bus.publish(subjects.allLease, {
      v: WIRE_VERSION,
      epoch,
      generation: fleet.generation,
      lost: roster.lost,
      replaced: roster.replaced,
    } satisfies Lease);
  }

  /** Slurm's signal comes earlier. If the signal is lost, there is still time to stop in good order. */
  #checkTime(): void {
    const { timeBudget, clock, post } = this.#options;
    const why = timeBudget.isOver(clock.now());
    if (why !== null) post.tell('sweep', { type: 'sweep.timeUp', why, exitCode: EXIT.outOfTime });
  }
}
