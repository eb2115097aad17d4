import { access, mkdir, open, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { ProcessSpec } from '../../messages/spec/process-spec.ts';

/** The log of a process that is about to start. */
export interface OpenLog {
  readonly fd: number;
  /** Its size: output of an earlier process of the same name. */
  readonly size: number;
  close(): void;
}

/**
 * Creates the files of a process, and opens its log. The disk may be slow, and the agent's heartbeats must
 * not wait for it, as they would if the log were opened synchronously at the start.
 */
export async function prepareFiles(spec: ProcessSpec): Promise<OpenLog> {
  await mkdir(dirname(spec.logFile), { recursive: true });
  for (const path of spec.emptyDirs ?? []) await rm(path, { recursive: true, force: true });
  for (const { path, content } of spec.files ?? []) {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content);
  }
  if (spec.restart !== undefined) await keepOldLog(spec.logFile, spec.restart);
  const handle = await open(spec.logFile, 'a', 0o644);
  const { size } = await handle.stat();
  return { fd: handle.fd, size, close: () => void handle.close().catch(() => undefined) };
}

/**
 * Keeps the log of the process before restart `number` as `<log>.<number>`. Nothing happens when that file exists, because
 * a process of a later point has the number, too.
 */
async function keepOldLog(logFile: string, number: number): Promise<void> {
  const kept = `${logFile}.${number}`;
  const has = (path: string) =>
    access(path).then(
      () => true,
      () => false,
    );
  if ((await has(logFile)) && !(await has(kept))) await rename(logFile, kept);
}
