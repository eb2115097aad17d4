import { adopt, type ProcessHandle } from '../../os/processes/process-handle.ts';

/** A process that the platform started for one or more agents: an agent itself, or the srun of several. */
export interface Launched {
  readonly process: ProcessHandle;
  readonly agents: readonly string[];
}

/** The launched processes that have not ended. Reports the agents of each process that ends. */
export class LaunchedAgents {
  readonly #running = new Set<Launched>();
  /**
   * The last process of each agent. An earlier process may end later (because it was frozen, or its srun has other
   * agents).
   */
  readonly #last = new Map<string, Launched>();
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

  /**
   * `onEnd` gets the agents that ended with the process, without the agents for which another process was launched
   * since.
   */
  add(launched: Launched, onEnd: (how: string, agents: readonly string[]) => void): void {
    const { process, agents } = launched;
    this.#running.add(launched);
    for (const name of agents) this.#last.set(name, launched);
    if (process.pid > 0) this.#began(process.pid);
    this.#onChange();
    void process.ended.then((how) => {
      this.#running.delete(launched);
      if (process.pid > 0) this.#over(process.pid);
      this.#onChange();
      onEnd(
        how,
        agents.filter((name) => this.#last.get(name) === launched),
      );
    });
  }

  /** Takes over the processes of a coordinator that was killed. Returns the agents of those that still run. */
  adopt(
    named: readonly {
      readonly pid: number;
      readonly startedAt: string;
      readonly agents: readonly string[];
    }[],
    onEnd: (how: string, agents: readonly string[]) => void,
  ): string[] {
    return named.flatMap(({ agents, ...name }) => {
      const process = adopt(name);
      if (!process) return [];
      this.add({ process, agents }, onEnd);
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
