import { adopt, type Running } from '../running.ts';

/** A process that the platform started for one or more agents: an agent itself, or the srun of several. */
export interface Launched {
  readonly process: Running;
  readonly agents: readonly string[];
}

/** What is launched and has not ended, with who is told of the end. */
export class LaunchedAgents {
  readonly #running = new Set<Launched>();
  readonly #began: (pid: number) => void;
  readonly #over: (pid: number) => void;
  readonly #onChange: () => void;

  constructor(options: {
    readonly began: (pid: number) => void;
    readonly over: (pid: number) => void;
    readonly onLaunched?: (() => void) | undefined;
  }) {
    this.#began = options.began;
    this.#over = options.over;
    this.#onChange = options.onLaunched ?? (() => undefined);
  }

  get running(): readonly Launched[] {
    return [...this.#running];
  }

  add(launched: Launched, onEnd: (how: string) => void): void {
    const { process } = launched;
    this.#running.add(launched);
    if (process.pid > 0) this.#began(process.pid);
    this.#onChange();
    void process.ended.then((how) => {
      this.#running.delete(launched);
      if (process.pid > 0) this.#over(process.pid);
      this.#onChange();
      onEnd(how);
    });
  }

  /** Takes over what a coordinator that was killed had launched; resolves to the agents of what still runs. */
  adopt(
    named: readonly {
      readonly pid: number;
      readonly startedAt: string;
      readonly agents: readonly string[];
    }[],
    onEnd: (launched: Launched, how: string) => void,
  ): string[] {
    return named.flatMap(({ agents, ...name }) => {
      const process = adopt(name);
      if (!process) return [];
      const launched = { process, agents };
      this.add(launched, (how) => onEnd(launched, how));
      return agents;
    });
  }

  async ended(withinMs: number, which = this.running): Promise<void> {
    if (which.length === 0) return;
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([
      Promise.all(which.map(({ process }) => process.ended)),
      new Promise((resolve) => {
        timer = setTimeout(resolve, withinMs);
      }),
    ]);
    clearTimeout(timer);
  }
}
