import { mkdir, open, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { ProcessSpec } from '../../messages/spec/process-spec.ts';

/** The log of a process that is about to be started. */
export interface OpenLog {
  readonly fd: number;
  /** Bytes that are in it: what an earlier process of the name said. */
  readonly size: number;
  close(): void;
}

/**
 * Makes what a process needs of the disk, its open log among it. That may take as long as the disk likes: the agent's
 * heartbeats must not wait for it, as they would if the log were opened when the process is started.
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
