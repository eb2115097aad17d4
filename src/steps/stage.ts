import { mkdir, open, readdir, readFile, rename, rm, stat, statfs, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as z from 'zod';
import { atATime } from '../os/at-a-time.ts';
import { copyWhole } from './copy-whole.ts';

const MANIFEST = '.srtctl-manifest.json';
const PARTIAL = '.srtctl-partial';
/** Limits the depth, because links to directories may form a cycle. */
const DEEPEST = 16;
/** Free space to leave on the disk beside the model, bytes. */
const SPARE = 1024 ** 3;

const relative = z.string().refine((path) => !/^\/|(^|\/)\.\.(\/|$)/.test(path));
const fileSchema = z.object({ path: relative, size: z.number(), mtime: z.number() });
type StagedFile = z.infer<typeof fileSchema>;
const manifestSchema = z.object({ v: z.literal(1), source: z.string(), files: z.array(fileSchema) });

export interface StageOptions {
  /** Files that are copied at the same time. */
  readonly parallel: number;
  /** May throw to stop. */
  readonly onProgress: (doneBytes: number, allBytes: number) => void;
}

export interface Staged {
  readonly files: number;
  readonly bytes: number;
  /** 0: the target was complete. */
  readonly copiedBytes: number;
}

/**
 * Makes `target` hold the files of the model directory `source`. A file with the same size and time (in
 * seconds) is not copied again, so an interrupted copy continues; a manifest marks a complete copy.
 * @throws Error when the source is empty, the disk too small, or a file comes out shorter than it was
 */
export async function stageModel(source: string, target: string, options: StageOptions): Promise<Staged> {
  const files = await listFiles(source);
  const bytes = sum(files);
  if (files.length === 0) throw new Error(`${source} has no files`);
  const before = await readManifest(target);
  const missing: StagedFile[] = [];
  for (const file of files) if (!(await isWhole(target, file))) missing.push(file);
  const toCopy = sum(missing);
  if (missing.length > 0) {
    await rm(join(target, MANIFEST), { force: true });
    await mkdir(target, { recursive: true });
    await requireSpace(target, toCopy);
    await removeOld(target, before, files);
    await copyAll(source, target, missing, bytes - toCopy, bytes, options);
    for (const { path } of await listFiles(target))
      if (path.endsWith(PARTIAL)) await rm(join(target, path), { force: true });
  }
  if (missing.length > 0 || before === undefined) {
    const manifest: z.infer<typeof manifestSchema> = { v: 1, source, files };
    await writeWhole(join(target, MANIFEST), JSON.stringify(manifest));
  }
  return { files: files.length, bytes, copiedBytes: toCopy };
}

const sum = (files: readonly StagedFile[]): number => files.reduce((total, { size }) => total + size, 0);

/** All files below a directory. Follows links, because a model in a cache consists of links. */
async function listFiles(root: string, below = '', depth = 0): Promise<StagedFile[]> {
  if (depth > DEEPEST)
    throw new Error(`${join(root, below)} is nested too deeply: check whether its links form a cycle`);
  const found: StagedFile[] = [];
  for (const entry of await readdir(join(root, below), { withFileTypes: true })) {
    const path = join(below, entry.name);
    const { size, mtimeMs, ...kind } = await stat(join(root, path)).then((info) => ({
      size: info.size,
      mtimeMs: info.mtimeMs,
      directory: info.isDirectory(),
      file: info.isFile(),
    }));
    if (kind.directory) found.push(...(await listFiles(root, path, depth + 1)));
    else if (kind.file) found.push({ path, size, mtime: Math.floor(mtimeMs / 1000) });
  }
  return found;
}

async function isWhole(target: string, { path, size, mtime }: StagedFile): Promise<boolean> {
  const info = await stat(join(target, path)).catch(() => undefined);
  return info?.isFile() === true && info.size === size && Math.floor(info.mtimeMs / 1000) === mtime;
}

async function readManifest(target: string) {
  const text = await readFile(join(target, MANIFEST), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return manifestSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

async function requireSpace(target: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(target);
  const free = bavail * bsize;
  if (free - SPARE > bytes) return;
  throw new Error(
    `${target} has ${gigabytes(free)} free, and ${gigabytes(bytes)} must be copied: free some space, or set model.stage_dir to another disk`,
  );
}

/**
 * Removes files of an earlier copy that the model no longer has, because an engine would load them as shards.
 */
async function removeOld(
  target: string,
  before: z.infer<typeof manifestSchema> | undefined,
  files: readonly StagedFile[],
): Promise<void> {
  const kept = new Set(files.map(({ path }) => path));
  for (const { path } of before?.files ?? [])
    if (!kept.has(path)) await rm(join(target, path), { force: true });
}

async function copyAll(
  source: string,
  target: string,
  missing: readonly StagedFile[],
  there: number,
  all: number,
  { parallel, onProgress }: StageOptions,
): Promise<void> {
  let done = there;
  // Largest first, so that only small files are left at the end and all copiers finish together.
  const largestFirst = [...missing].sort((a, b) => b.size - a.size);
  await atATime(parallel, largestFirst, async (file) => {
    const to = join(target, file.path);
    await mkdir(dirname(to), { recursive: true });
    // The name contains size and time, because a partial copy of another version must not be continued.
    const own = { partial: `${to}.${file.size}-${file.mtime}${PARTIAL}`, size: file.size };
    await copyWhole(join(source, file.path), to, own, (bytes) => {
      done += bytes;
      onProgress(done, all);
    });
    await utimes(to, file.mtime, file.mtime);
  });
}

async function writeWhole(path: string, text: string): Promise<void> {
  const file = await open(`${path}.new`, 'w');
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
}

export const gigabytes = (bytes: number): string => `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
