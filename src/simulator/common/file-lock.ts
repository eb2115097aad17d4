import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { Fatal } from './fatal.ts';

/**
 * Waits for the lock of a file, and keeps it until this process ends, however it ends: flock(1) holds it for a program
 * that ends with its input. The file then names the holder.
 */
export function holdLock(file: string, holder: string): Promise<void> {
  mkdirSync(dirname(file), { recursive: true });
  const script = `printf %s "$1" >"$0"; echo locked; exec cat`;
  const child = spawn('flock', [file, 'sh', '-c', script, file, holder], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  return new Promise((resolve, reject) => {
    const fail = (why: string) => reject(new Fatal(`cannot lock ${file}: ${why}`, { exitCode: 1 }));
    child.once('error', ({ message }) => fail(message));
    child.once('exit', (code) => fail(`flock ended with ${code}`));
    child.stdout.once('data', () => resolve());
  });
}
