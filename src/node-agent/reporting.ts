import type { Logger } from 'pino';
import { type Bus, BusTimeout, type EventOutbox } from '../messages/bus/bus.ts';
import { goodbyeReplySchema, type Heartbeat } from '../messages/events/control.ts';
import { WIRE_VERSION } from '../messages/events/events.ts';
import type { Subjects } from '../messages/events/subjects.ts';
import type { AgentConfig } from '../messages/job-directory/job-files.ts';
import type { GpuHolder } from '../messages/spec/gpu-holder.ts';
import type { ExecRequests } from './exec/exec-requests.ts';
import type { Transition } from './processes/entry.ts';
import type { ProcessTable } from './processes/process-table.ts';

/** How often an agent says goodbye, and how long each goodbye waits for its answer, ms. */
const GOODBYES = 3;
const GOODBYE_MS = 300;

export interface AgentOptions {
  readonly config: AgentConfig;
  readonly incarnation: string;
  /** IP address by which other nodes reach this one. */
  readonly address: string;
  readonly bus: Bus;
  readonly outbox: EventOutbox;
  readonly subjects: Subjects;
  readonly table: ProcessTable;
  /** Processes outside of the job that held GPUs of the node before the agent started anything. */
  readonly gpuHolders: readonly GpuHolder[];
  /** Records the node and its processes; `end` resolves when everything is on disk. */
  readonly telemetry?: { end(): Promise<void> } | undefined;
  /** Runs commands for operators; left out where `bus.exec` is false. */
  readonly exec?: ExecRequests | undefined;
  readonly log: Logger;
  /** Monotonic ms; advances while the process is stopped. */
  readonly now: () => number;
  /** The clock and the source of its events. The coordinator compares this clock with its own. */
  readonly clock: { readonly now: () => number; readonly source: string };
  /** Called when the agent's work is over. */
  readonly onEnd: (why: string, exitCode: number, end: { readonly leaseExpired: boolean }) => void;
}

/** Publishes a transition of a process, which the stream keeps. */
export function publishTransition(options: AgentOptions, transition: Transition): void {
  const { config, outbox, log } = options;
  const { spec, ...rest } = transition;
  outbox.send({
    kind: 'process.transition',
    node: config.node,
    process: spec.id,
    role: spec.role,
    logFile: spec.logFile,
    ...rest,
  });
  log.info({ process: spec.id, from: rest.from, to: rest.to, why: rest.why, pid: rest.pid }, 'transition');
}

export function heartbeatOf(
  options: AgentOptions,
  standing: Pick<Heartbeat, 'epoch' | 'generation' | 'rssBytes' | 'leaving'>,
): Heartbeat {
  const { bus, config, incarnation, table } = options;
  return {
    v: WIRE_VERSION,
    node: config.node,
    incarnation,
    ...standing,
    processes: table.reports(),
    alive: table.alive,
    malformed: bus.status.malformed,
  };
}

/**
 * No later heartbeat repeats a goodbye, and an agent whose goodbye is lost counts as lost, so the agent waits for an
 * answer.
 */
export async function sayGoodbye({ bus, subjects, config }: AgentOptions, goodbye: Heartbeat): Promise<void> {
  for (let attempt = 0; attempt < GOODBYES && bus.status.connected; attempt++) {
    try {
      await bus.request(subjects.heartbeat(config.node), goodbye, goodbyeReplySchema, GOODBYE_MS);
      return;
    } catch (error) {
      // After a time-out the goodbye may be lost, so it is repeated; without a subscriber repeating it is useless.
      if (!(error instanceof BusTimeout)) return;
    }
  }
}
