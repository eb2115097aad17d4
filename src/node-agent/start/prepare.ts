import { mkdir, open, rm, writeFile } from 'node:fs/promises';
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
  const handle = await open(spec.logFile, 'a', 0o644);
  const { size } = await handle.stat();
  return { fd: handle.fd, size, close: () => void handle.close().catch(() => undefined) };
}
