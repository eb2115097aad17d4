import { open, readFile } from 'node:fs/promises';
import { streamOf, subjectsOf } from '../../messages/events/subjects.ts';
import { jobPaths } from '../../messages/job-directory/files.ts';
import { SrtctlError } from '../../os/errors.ts';
import { isOver, type JobOnDisk, readConnection } from './job-dir.ts';

/** How a reader reaches a job's bus. */
export interface WayIn {
  readonly url: string;
  /** File with the reader's key (nkey seed). */
  readonly keyFile: string;
  /** File with the certificate of the job's authority, where the bus is encrypted. */
  readonly caFile?: string;
  /** All public subjects: `srt.<job>.>`. */
  readonly subjects: string;
  /** The stream with all kept messages since the job began. */
  readonly stream: string;
}

/**
 * How a reader reaches the bus of a running job.
 * @throws SrtctlError when the job has ended, has no bus yet, or is of a release without readers
 */
export async function wayInto(job: JobOnDisk): Promise<WayIn> {
  const { jobId, jobDir } = job;
  const { events, readerKey, authority } = jobPaths(jobDir, jobId);
  const connection = await readConnection(job);
  if (!connection || (await isOver(job))) {
    const hint = `${events} has its events`;
    if (await isOver(job))
      throw new SrtctlError('no-bus', `job ${jobId} has ended, and its bus with it`, { hint });
    throw new SrtctlError('no-bus', `job ${jobId} has no bus yet, or this user may not read its address`, {
      hint: `srtctl status ${jobId} shows where it stands`,
    });
  }
  const hasReaders = await readFile(readerKey).then(
    () => true,
    () => false,
  );
  if (!hasReaders)
    throw new SrtctlError('no-bus', `${readerKey} is missing: the job was started by a release without it`);
  return {
    url: connection.url,
    keyFile: readerKey,
    ...(connection.ca === undefined ? {} : { caFile: authority }),
    subjects: subjectsOf(jobId).everything,
    stream: streamOf(jobId),
  };
}

/**
 * Copies the key of readers into a new file that only its owner can read.
 * @throws SrtctlError when the file exists or cannot be written
 */
export async function exportKey({ keyFile }: WayIn, target: string): Promise<void> {
  const text = await readFile(keyFile, 'utf8');
  const file = await open(target, 'wx', 0o600).catch((error: NodeJS.ErrnoException) => {
    const why = error.code === 'EEXIST' ? 'exists already' : error.message;
    throw new SrtctlError('usage', `--export ${target}: ${why}`, { hint: 'choose the name of a new file' });
  });
  await file.writeFile(text);
  await file.close();
}
