import type { Logger } from 'pino';
import type { EventOutbox, Incoming } from '../../messages/bus/bus.ts';
import { WIRE_VERSION } from '../../messages/events/events.ts';
import type { ExecEnd, ExecReply, ExecRequest } from '../../messages/events/exec.ts';
import type { ProcessTable } from '../processes/process-table.ts';
import { Command, type CommandOptions } from './command.ts';

/** Commands at one time. */
const MOST_COMMANDS = 8;
/** A command whose output is not read for this long is ended, ms. */
const UNREAD_MS = 15_000;
/** How long the end of a command can be asked for, ms. */
const REMEMBERED_MS = 30_000;
/** Above the numbers that the table gives its processes. */
const FIRST_NUMBER = 1_000_000_000;

export interface ExecOptions extends CommandOptions {
  readonly node: string;
  readonly table: Pick<ProcessTable, 'specOf' | 'reports'>;
  readonly outbox: EventOutbox;
  readonly log: Logger;
}

type Start = Extract<ExecRequest, { do: 'start' }>;

interface Running {
  readonly command: Command;
  /** Ends the command, or forgets it, when no request asks for it. */
  patience: NodeJS.Timeout;
}

/** Answers requests about commands, and publishes an event at the start and the end of each. */
export class ExecRequests {
  readonly #options: ExecOptions;
  readonly #commands = new Map<string, Running>();
  #starts = 0;

  constructor(options: ExecOptions) {
    this.#options = options;
  }

  async answer({ message, respond }: Incoming<ExecRequest>): Promise<void> {
    const refuse = (reason: string): void =>
      respond({ v: WIRE_VERSION, ok: false, reason } satisfies ExecReply);
    let running = this.#commands.get(message.id);
    if (!running && message.do === 'start') {
      const refusal = this.#refusalOf(message);
      if (refusal !== undefined) return refuse(refusal);
      try {
        running = this.#start(message);
      } catch (error) {
        return refuse(error instanceof Error ? error.message : String(error));
      }
    }
    if (!running) return refuse('the agent knows no such command (any more)');
    this.#bePatient(message.id, running);
    const { command } = running;
    if (message.do === 'stop') command.stop('it was asked to stop');
    if (message.do === 'read') {
      const { pieces } = command.take(message.after);
      if (pieces.length === 0) await command.waitForMore(message.waitMs);
    }
    const taken = command.take(message.do === 'read' ? message.after : 0);
    respond({ v: WIRE_VERSION, ok: true, ...taken } satisfies ExecReply);
  }

  /** Kills all commands, because the agent ends. Resolves when their ends are published, or after a moment. */
  async endAll(): Promise<void> {
    const running = [...this.#commands.values()].filter(({ command }) => !command.end);
    await Promise.all(running.map(({ command }) => command.kill('the agent ends')));
  }

  #refusalOf({ process }: Start): string | undefined {
    if ([...this.#commands.values()].filter(({ command }) => !command.end).length >= MOST_COMMANDS)
      return `${MOST_COMMANDS} commands run on this node already`;
    if (process !== null && !this.#options.table.specOf(process))
      return `${process} does not run on this node`;
    return undefined;
  }

  #start({ id, process, argv, by, limitMs }: Start): Running {
    const { node, table, outbox, log, environment } = this.#options;
    const spec = process === null ? undefined : table.specOf(process);
    const pid = table.reports().findLast((report) => report.id === process)?.pid;
    const [program = '', ...args] = argv;
    const about = { node, process: process ?? AGENT, command: id, by, program, args: args.length } as const;
    const tell = (to: 'started' | 'ended', why: string, end?: ExecEnd): void => {
      const { exitCode = null, signal = null } = end ?? {};
      outbox.send({ kind: 'process.exec', ...about, to, why, exitCode, signal });
      log.info({ ...about, to, why, exitCode, signal }, 'exec');
    };
    const command = new Command(this.#options, {
      argv,
      cwd: spec?.cwd,
      env: {
        ...environment,
        ...spec?.env,
        ...(pid == null ? {} : { SRTCTL_PROCESS_PID: String(pid) }),
      },
      limitMs,
      number: FIRST_NUMBER + ++this.#starts,
      name: `${id}`,
      onEnd: (end) => tell('ended', endText(end), end),
    });
    tell('started', `${by} runs ${program} with ${args.length} arguments`);
    const running = { command, patience: setTimeout(() => {}, 0) };
    this.#commands.set(id, running);
    return running;
  }

  #bePatient(id: string, running: Running): void {
    clearTimeout(running.patience);
    const { command } = running;
    running.patience = setTimeout(() => {
      command.stop(`its output was not read for ${UNREAD_MS / 1_000} s`);
      running.patience = setTimeout(() => this.#commands.delete(id), REMEMBERED_MS);
    }, UNREAD_MS);
  }
}

/** The name of the agent itself where a process would stand. */
const AGENT = 'agent';

function endText({ exitCode, signal, stoppedBecause }: ExecEnd): string {
  const how = signal === null ? `exit code ${exitCode ?? 'unknown'}` : `ended by ${signal}`;
  return stoppedBecause === undefined ? how : `${how}: ${stoppedBecause}`;
}
