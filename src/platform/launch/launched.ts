import { adopt, type ProcessHandle } from '../../os/processes/process-handle.ts';

/** A process that the platform started for one or more agents: an agent itself, or the srun of several. */
export interface Launched {
  readonly process: ProcessHandle;
  readonly agents: readonly string[];
}

/** What is launched and has not ended, with who is told of the end. */
export class LaunchedAgents {
  readonly #running = new Set<Launched>();
  /** By agent. An earlier one, that was frozen or whose srun has others still, may end after another took its place. */
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

  /** `onEnd` is told the agents of which it is the end: not those for which another process was launched since. */
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

  /** Takes over what a coordinator that was killed had launched; resolves to the agents of what still runs. */
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
