import type { Bus } from '../../messages/bus/bus.ts';
import { subjectsOf } from '../../messages/events/subjects.ts';
import type { JobOnDisk } from '../jobs/job-dir.ts';
import { askerOf } from '../jobs/log-reader.ts';
import type { IndexedLog } from './log-index.ts';
import { agentText, fileText, type LogText } from './log-text.ts';

/** Where the texts of a job's logs are read: from files, and through agents where the files are on their nodes only. */
export function createTexts(job: JobOnDisk) {
  let bus: Promise<Bus | undefined> | undefined;
  const connect = async (): Promise<Bus | undefined> => {
    const { connectOperator } = await import('../jobs/operator-bus.ts');
    return connectOperator(job, 'logs');
  };
  return {
    async of({ agent, file, process }: IndexedLog, over: boolean): Promise<LogText> {
      const here = fileText(file);
      if (over || agent === null || (await here.end()).writtenAt !== undefined) return here;
      bus ??= connect();
      const connected = await bus;
      if (!connected) return here;
      const ask = askerOf(connected, subjectsOf(job.jobId).log(agent, process));
      return agentText(ask);
    },
    close: async (): Promise<void> => void (await (await bus)?.close(500)),
  };
}
