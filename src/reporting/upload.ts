import { createReadStream } from 'node:fs';
import { open, readdir, readFile, realpath } from 'node:fs/promises';
import { basename, join, relative, sep } from 'node:path';
import { S3Client } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import picomatch from 'picomatch';
import type { Reporting } from '../recipe/schema/reporting.ts';
import type { ReportedJob } from './common/job.ts';

export type S3Settings = NonNullable<NonNullable<Reporting>['s3']>;

/** Files sent at the same time. */
const AT_ONCE = 4;
/** Files up to this size are searched for a key that the recipe holds. */
const SEARCHED_BYTES = 8 * 1024 * 1024;
/** The first part of names in the bucket, where the recipe says none; as in srt-slurm (postprocess_stage.py). */
const PREFIX = 'srtslurm';

/** Files with keys of the job. The run has removed them; one that was left behind stays here. */
const SECRET_FILES: ReadonlySet<string> = new Set(['connection.json', 'bus-reader.nk', '.credentials']);

const TYPES: Readonly<Record<string, string>> = {
  json: 'application/json',
  jsonl: 'application/x-ndjson',
  html: 'text/html; charset=utf-8',
  yaml: 'text/plain; charset=utf-8',
  out: 'text/plain; charset=utf-8',
  log: 'text/plain; charset=utf-8',
};

/** The place of a job in the bucket, with a slash at the end: PREFIX/DATE/JOB/, the date in UTC. */
export function placeOf({ spec }: Pick<ReportedJob, 'spec'>, { prefix }: S3Settings): string {
  const first = (prefix ?? PREFIX).replaceAll(/^\/+|\/+$/g, '');
  return [...(first === '' ? [] : [first]), spec.submittedAt.slice(0, 10), spec.jobId, ''].join('/');
}

/** Files of the job's directory that are uploaded, relative to it. */
export async function filesToUpload(
  jobDir: string,
  { exclude }: Pick<S3Settings, 'exclude'>,
): Promise<string[]> {
  // `bash`: a star matches across directories, as in `aws s3 sync --exclude`.
  const patterns = (exclude ?? []).map((pattern) => picomatch(pattern, { bash: true, dot: true }));
  const isExcluded = (path: string): boolean => patterns.some((matches) => matches(path));
  const entries = await readdir(jobDir, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => relative(jobDir, join(parentPath, name)))
    .filter((path) => !path.split(sep).some((part) => SECRET_FILES.has(part)) && !isExcluded(path))
    .sort();
}

/**
 * Uploads a job's directory. Large files go in parts, and the SDK tries each part up to five times.
 * @param env credentials where the recipe holds none, as the SDK finds them (AWS_ACCESS_KEY_ID, a profile, …)
 * @returns the URL of the job's place, and the files that could not be sent, with the reason
 */
export async function uploadJob(
  job: ReportedJob,
  settings: S3Settings,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<{ url: string; sent: number; failed: { path: string; why: string }[] }> {
  const { bucket, region, endpoint_url: endpoint, access_key_id: id, secret_access_key: secret } = settings;
  const accessKeyId = id ?? env.AWS_ACCESS_KEY_ID;
  const secretAccessKey = secret ?? env.AWS_SECRET_ACCESS_KEY;
  // The SDK announces its next releases on standard error, which is the job's log.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
  const client = new S3Client({
    region: region ?? env.AWS_REGION ?? env.AWS_DEFAULT_REGION ?? 'us-east-1',
    maxAttempts: 5,
    // Services other than AWS rarely have a host name for each bucket, nor the checksums of newer releases.
    ...(endpoint
      ? { endpoint, forcePathStyle: true, requestChecksumCalculation: 'WHEN_REQUIRED' as const }
      : {}),
    ...(accessKeyId && secretAccessKey
      ? {
          credentials: {
            accessKeyId,
            secretAccessKey,
            ...(env.AWS_SESSION_TOKEN && !id ? { sessionToken: env.AWS_SESSION_TOKEN } : {}),
          },
        }
      : {}),
  });
  const jobDir = await realpath(job.spec.jobDir);
  const place = placeOf(job, settings);
  const waiting = await filesToUpload(jobDir, settings);
  const failed: { path: string; why: string }[] = [];
  let sent = 0;
  const lane = async (): Promise<void> => {
    for (let path = waiting.shift(); path !== undefined; path = waiting.shift()) {
      try {
        signal.throwIfAborted();
        if (secret && (await holds(join(jobDir, path), secret))) {
          failed.push({ path, why: 'it holds secret_access_key of the recipe' });
          continue;
        }
        const upload = new Upload({
          client,
          params: {
            Bucket: bucket,
            Key: `${place}${path.split(sep).join('/')}`,
            Body: createReadStream(join(jobDir, path)),
            ContentType: TYPES[basename(path).split('.').at(-1) ?? ''] ?? 'application/octet-stream',
          },
        });
        const stop = (): void => void upload.abort();
        signal.addEventListener('abort', stop, { once: true });
        await upload.done().finally(() => signal.removeEventListener('abort', stop));
        sent++;
      } catch (error) {
        failed.push({ path, why: error instanceof Error ? error.message || error.name : String(error) });
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  client.destroy();
  return { url: `s3://${bucket}/${place}`, sent, failed };
}

/** Whether a small file contains a text: `<job id>.json` and config.yaml repeat what the recipe says. */
async function holds(path: string, text: string): Promise<boolean> {
  const file = await open(path);
  try {
    if ((await file.stat()).size > SEARCHED_BYTES) return false;
  } finally {
    await file.close();
  }
  return (await readFile(path, 'utf8')).includes(text);
}
