import type { Bus } from '../../../messages/bus/bus.ts';
import { agentOfSource } from '../../../messages/events/authorship.ts';
import { commandReplySchema } from '../../../messages/events/control.ts';
import { WIRE_VERSION } from '../../../messages/events/events.ts';
import { subjectsOf } from '../../../messages/events/subjects.ts';
import { shellQuote } from '../../../os/quote.ts';
import type { JobOnDisk } from '../../jobs/job-dir.ts';
import { plain } from '../../terminal/text.ts';
import type { ProcessPast } from '../model/job-history.ts';
import type { Command, ProcessScene } from '../views/scene.ts';
import { ProcessLog } from './process-log.ts';

const ANSWER_MS = 3_000;

/** What the page of a process shows beside its job: its log and its command. */
export class ProcessPage {
  readonly process: string;
  readonly #log: ProcessLog;
  #command: Command | string = 'asking its agent …';

  /** @param bus of the job; without one only the log is known */
  constructor(job: JobOnDisk, process: string, past: ProcessPast, bus: Bus | undefined, changed: () => void) {
    this.process = process;
    this.#log = new ProcessLog(job, process, past, changed);
    void commandOf(bus, subjectsOf(job.jobId).log(agentOf(past), process)).then((command) => {
      this.#command = command;
      changed();
    });
  }

  scene(): ProcessScene {
    return { log: this.#log.lines, command: this.#command };
  }

  close(): void {
    this.#log.close();
  }
}

const agentOf = ({ source, node }: ProcessPast): string => agentOfSource(source) ?? node;

/** How the agent has started the process; a sentence, where it does not say. */
async function commandOf(bus: Bus | undefined, subject: string): Promise<Command | string> {
  if (!bus?.status.connected)
    return 'only its agent knows the command, and the bus cannot be reached; `srtctl dry-run` shows that of the plan';
  try {
    const request = { v: WIRE_VERSION, command: true };
    const reply = await bus.request(subject, request, commandReplySchema, ANSWER_MS);
    if (!reply.ok) return plain(reply.reason);
    const there = reply.cwd === null ? '' : `cd ${shellQuote(reply.cwd)} && `;
    const environment = Object.entries(reply.env).map(([name, value]) =>
      plain(`${name}=${shellQuote(value)}`),
    );
    return {
      line: plain(`${there}${reply.argv.map(shellQuote).join(' ')}`),
      environment: [
        ...(reply.gpus.length > 0 ? [`GPUs of its node: ${reply.gpus.join(', ')}`] : []),
        ...environment,
      ],
    };
  } catch {
    return 'its agent does not answer; it does not run, or is of an older release';
  }
}
