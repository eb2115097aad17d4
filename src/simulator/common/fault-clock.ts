import type { Fault, FaultKind } from './fault-schema.ts';

/** The running point, from state.json. */
export interface CurrentPoint {
  readonly ordinal: number;
  readonly name: string;
  readonly attempt: number;
}

const isOf = ({ point, attempt }: Fault, current: CurrentPoint | undefined): boolean =>
  (point === undefined || point === current?.ordinal || point === current?.name) &&
  (attempt === undefined || attempt === current?.attempt);

const needsPoint = ({ point, attempt }: Fault): boolean => point !== undefined || attempt !== undefined;

/**
 * Decides when the faults of one process are active: from a time or a request on, within a point. Times are
 * in ms of the caller's clock.
 */
export class FaultClock {
  readonly #faults: readonly Fault[];
  readonly #beganAt: number;
  #point: CurrentPoint | undefined;
  #pointAt: number;
  /** Requests since the process started, and since the point started. */
  #requests = 0;
  #requestsInPoint = 0;
  /** When the request arrived that starts a fault. */
  readonly #requestAt = new Map<Fault, number>();

  constructor(faults: readonly Fault[], now: number) {
    this.#faults = faults;
    this.#beganAt = now;
    this.#pointAt = now;
  }

  get needsPoint(): boolean {
    return this.#faults.some(needsPoint);
  }

  pointIs(point: CurrentPoint | undefined, now: number): void {
    const before = this.#point;
    if (before?.ordinal === point?.ordinal && before?.attempt === point?.attempt) return;
    // The first point starts with the process.
    if (before !== undefined) this.#pointAt = now;
    this.#point = point;
    this.#requestsInPoint = 0;
    for (const fault of this.#faults) if (needsPoint(fault)) this.#requestAt.delete(fault);
  }

  requestAt(now: number): void {
    this.#requests++;
    this.#requestsInPoint++;
    for (const fault of this.#faults) {
      const count = needsPoint(fault) ? this.#requestsInPoint : this.#requests;
      if (fault.request === count && isOf(fault, this.#point)) this.#requestAt.set(fault, now);
    }
  }

  /** When a fault starts; undefined while that is unknown. */
  beginOf(fault: Fault): number | undefined {
    if (!isOf(fault, this.#point)) return undefined;
    const from = needsPoint(fault) ? this.#pointAt : this.#beganAt;
    const base = fault.request === undefined ? from : this.#requestAt.get(fault);
    return base === undefined ? undefined : base + fault.after_ms;
  }

  /** The first active fault of a kind. */
  on(kind: FaultKind, now: number, path = '/'): Fault | undefined {
    return this.#faults.find((fault) => {
      if (fault.do !== kind || !path.startsWith(fault.path)) return false;
      const begin = this.beginOf(fault);
      return begin !== undefined && now >= begin && now < begin + (fault.for_ms ?? Number.POSITIVE_INFINITY);
    });
  }

  of(...kinds: readonly FaultKind[]): readonly Fault[] {
    return this.#faults.filter((fault) => kinds.includes(fault.do));
  }
}
