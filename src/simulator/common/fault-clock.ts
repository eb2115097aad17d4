import type { Fault, FaultKind } from './fault-schema.ts';

/** The point that runs, as state.json tells it. */
export interface CurrentPoint {
  readonly ordinal: number;
  readonly name: string;
  readonly attempt: number;
}

const isOf = ({ point, attempt }: Fault, current: CurrentPoint | undefined): boolean =>
  (point === undefined || point === current?.ordinal || point === current?.name) &&
  (attempt === undefined || attempt === current?.attempt);

const needsPoint = ({ point, attempt }: Fault): boolean => point !== undefined || attempt !== undefined;

/** When the faults of one process are on: from a time or a request, in a point. Times in ms of the caller's clock. */
export class FaultClock {
  readonly #faults: readonly Fault[];
  readonly #beganAt: number;
  #point: CurrentPoint | undefined;
  #pointAt: number;
  /** Requests since the process began, and since the point did. */
  #requests = 0;
  #requestsInPoint = 0;
  /** When the request came that a fault begins with. */
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
    // A process is as old as its first point.
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

  /** When a fault begins, as far as that is known. */
  beginOf(fault: Fault): number | undefined {
    if (!isOf(fault, this.#point)) return undefined;
    const from = needsPoint(fault) ? this.#pointAt : this.#beganAt;
    const base = fault.request === undefined ? from : this.#requestAt.get(fault);
    return base === undefined ? undefined : base + fault.after_ms;
  }

  /** The first fault of a kind that is on. */
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
