import { readFileSync } from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';
import { fileURLToPath } from 'node:url';

/** The position in a stack frame: bundle, line and column, both counted from 1. */
const POSITION = /((?:file:\/\/)?\/[^():\n]*\.[cm]?js):(\d+):(\d+)/g;

/**
 * The stack of an error with the files and lines of the source, from the source maps beside the bundles.
 * Without a map it is Node's own stack. Maps are read only here, because they are megabytes and few errors
 * are shown.
 */
export function sourceStack(error: Error, read = readMap): string {
  const maps = new Map<string, SourceMap | undefined>();
  const stack = error.stack ?? `${error.name}: ${error.message}`;
  return stack.replace(POSITION, (frame, file: string, line: string, column: string) => {
    const path = file.startsWith('file://') ? fileURLToPath(file) : file;
    if (!maps.has(path)) maps.set(path, read(path));
    const origin = maps.get(path)?.findOrigin(Number(line), Number(column));
    if (!origin || !('fileName' in origin)) return frame;
    return `${fromRoot(origin.fileName)}:${origin.lineNumber}:${origin.columnNumber}`;
  });
}

function readMap(path: string): SourceMap | undefined {
  try {
    return new SourceMap(JSON.parse(readFileSync(`${path}.map`, 'utf8')) as SourceMapPayload);
  } catch {
    return undefined;
  }
}

/** A source's path from the root of the repository; in the map it is relative to the bundle. */
const fromRoot = (source: string): string => source.replace(/^(?:\.\.\/)+/, '');
