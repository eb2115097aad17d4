import { setTimeout as sleep } from 'node:timers/promises';
import { CausedError } from '../../machines/point.ts';
import type { Bus } from '../../messages/bus/bus.ts';
import { BusTimeout } from '../../messages/bus/bus.ts';
import { type Desired, desiredReplySchema, type ProcessReport } from '../../messages/events/control.ts';
import { WIRE_VERSION } from '../../messages/events/events.ts';
import type { Subjects } from '../../messages/events/subjects.ts';
import type { Epoch, Generation } from '../../messages/spec/counters.ts';
import type { ProcessSpec } from '../../messages/spec/process-spec.ts';
import type { Roster } from '../agents/roster.ts';

/**
 * How long an agent is asked in all, ms, and how long each time, before its desired state counts as unanswered. The
 * roster notices a lost agent long before; this limit is for unforeseen cases.
 */
const ASK = { patienceMs: 30_000, timeoutMs: 3_000 } as const;
/** Time from one question to the next, ms. */
const ASK_AGAIN_MS = 200;

/** The same texts as in src/why/signatures.yaml. They appear in no log, because no process was started. */
const PORT_TAKEN = { signature: 'port-in-use', says: 'a port is in use' } as const;
const PORT_ADVICE =
  'end it, or keep the job off the node (sbatch_directives: exclude); two jobs that share a node cannot use the same ports';

export interface DesiredStatesOptions {
  readonly bus: Pick<Bus, 'request'>;
  readonly subjects: Subjects;
  readonly roster: Pick<Roster, 'nodes'>;
  readonly epoch: Epoch;
  /** Name of the agent that runs a process; by default that of its node. */
  readonly agentOf?: (spec: ProcessSpec) => string;
  /** First generation to use. */
  readonly generation: Generation;
  /** Keeps the generation in state.json. */
  readonly record: { save(change: { readonly generation: Generation }): void };
  readonly ask?: { readonly patienceMs: number; readonly timeoutMs: number };
}

/** The desired state of every agent: which processes shall run there, by generation. Asks the agents to follow it. */
export class DesiredStates {
  readonly #options: DesiredStatesOptions;
  readonly #learn: (reports: readonly ProcessReport[], agent: string) => void;
  #generation: Generation;
  /** Specs by agent. Indexed, because scanning all specs for each of 1,000 agents is quadratic. */
  #ofAgent = new Map<string, ProcessSpec[]>();
  /** Processes with their ports whose nodes have been asked for the ports since the last clear. */
  readonly #looked = new Set<string>();

  /** `learn` receives the reports in an agent's answer. */
  constructor(
    options: DesiredStatesOptions,
    learn: (reports: readonly ProcessReport[], agent: string) => void,
  ) {
    this.#options = options;
    this.#learn = learn;
    this.#generation = options.generation;
  }

  get generation(): Generation {
    return this.#generation;
  }

  /** true after the first decision of this coordinator on what runs, even if the decision was that nothing runs. */
  get isDecided(): boolean {
    return this.#generation > this.#options.generation;
  }

  /** Name of the agent that runs a process. */
  agentOf(spec: ProcessSpec): string {
    return this.#options.agentOf?.(spec) ?? spec.node;
  }

  /** The desired state of one agent as it is now; the answer to a hello. */
  of(agent: string): Desired {
    const processes = this.#ofAgent.get(agent) ?? [];
    return { v: WIRE_VERSION, epoch: this.#options.epoch, generation: this.#generation, processes };
  }

  /** Begins the next generation, in which `wanted` runs. */
  set(wanted: readonly ProcessSpec[]): void {
    this.#generation++;
    this.#ofAgent = this.#byAgent(wanted);
    this.#options.record.save({ generation: this.#generation });
  }

  /** Begins the next generation, in which nothing runs, and returns it. */
  clear(): Generation {
    this.#looked.clear();
    this.set([]);
    return this.#generation;
  }

  /**
   * Sends all agents their desired states. `later`: processes of later phases, whose ports the agents look at too.
   * Throws what is wrong when an agent refuses, or does not answer.
   */
  async tell(signal: AbortSignal, later: readonly ProcessSpec[] = []): Promise<void> {
    const laterOf = this.#byAgent(later);
    await Promise.all(
      this.#options.roster.nodes.map((agent) => {
        const own = laterOf.get(agent);
        return this.#ask(agent, signal, own ? { later: own.map(portsOf) } : {});
      }),
    );
  }

  /**
   * Asks all nodes whether the ports of a point are free, before any process is started on any node. Otherwise engines on a
   * node with free ports would connect to another job's engines on a node with taken ports, and both jobs would fail.
   * Returns undefined when no node has to be asked. `isKnown`: the process runs already, and has its ports.
   */
  look(
    specs: readonly ProcessSpec[],
    isKnown: (spec: ProcessSpec) => boolean,
    signal: AbortSignal,
  ): Promise<unknown> | undefined {
    const keyOf = ({ id, ports }: ProcessSpec) => `${id} ${JSON.stringify(ports)}`;
    const isNew = (spec: ProcessSpec) => !isKnown(spec) && !this.#looked.has(keyOf(spec));
    const fresh = specs.filter((spec) => Object.keys(spec.ports).length > 0 && isNew(spec));
    for (const spec of fresh) this.#looked.add(keyOf(spec));
    // A single agent looks at the ports when it starts the processes.
    if (fresh.length === 0 || this.#byAgent(specs).size < 2) return undefined;
    return Promise.all(
      [...this.#byAgent(fresh)].map(([agent, own]) =>
        this.#ask(agent, signal, { processes: [], later: own.map(portsOf), look: true }),
      ),
    );
  }

  #byAgent(specs: readonly ProcessSpec[]): Map<string, ProcessSpec[]> {
    const found = new Map<string, ProcessSpec[]>();
    for (const spec of specs) {
      const agent = this.agentOf(spec);
      const list = found.get(agent);
      if (list) list.push(spec);
      else found.set(agent, [spec]);
    }
    return found;
  }

  async #ask(agent: string, signal: AbortSignal, more: Partial<Desired>): Promise<void> {
    const { bus, subjects } = this.#options;
    const subject = subjects.desired(agent);
    const ask = this.#options.ask ?? ASK;
    let problem = '';
    const until = performance.now() + ask.patienceMs;
    while (problem === '' || performance.now() < until) {
      signal.throwIfAborted();
      try {
        const desired = { ...this.of(agent), ...more };
        const reply = await bus.request(subject, desired, desiredReplySchema, ask.timeoutMs);
        if (reply.accepted) {
          this.#learn(reply.processes, agent);
          return;
        }
        if (reply.taken)
          throw new CausedError({ summary: reply.reason, node: agent, ...PORT_TAKEN, advice: PORT_ADVICE });
        problem = `refused its desired state: ${reply.reason}`;
        break;
      } catch (error) {
        if (error instanceof CausedError) throw error;
        problem = error instanceof BusTimeout ? 'did not answer its desired state' : String(error);
        await sleep(ASK_AGAIN_MS);
      }
    }
    signal.throwIfAborted();
    throw new CausedError({ summary: `the agent of ${agent} ${problem}`, node: agent });
  }
}

const portsOf = ({ id, ports }: ProcessSpec): Pick<ProcessSpec, 'id' | 'ports'> => ({ id, ports });
