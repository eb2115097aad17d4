// A small disk for the files of a run. It can be filled, and can stall.
import { execFileSync, spawn } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

const BYTES = 48 * 1024 * 1024;

/**
 * Before the lab starts, because its nodes see the mounts that existed at their start. Throws when the disk cannot be
 * made.
 */
export function createDisk() {
  if (process.getuid() !== 0) throw new Error('it takes root to mount a disk');
  const work = mkdtempSync(join(tmpdir(), 'srtctl-chaos-disk-'));
  const image = join(work, 'image');
  const directory = join(work, 'disk');
  const run = (command, ...argv) => execFileSync(command, argv, { stdio: ['ignore', 'ignore', 'pipe'] });
  const format = () => run('mkfs.ext4', '-q', '-F', '-m', '0', '-O', '^has_journal', image);
  const mount = () => run('mount', '-o', 'loop,errors=remount-ro', image, directory);
  try {
    mkdirSync(directory);
    closeSync(openSync(image, 'w'));
    truncateSync(image, BYTES);
    format();
    mount();
  } catch (error) {
    rmSync(work, { recursive: true });
    throw error;
  }
  const filling = join(directory, 'filling');
  let isReadOnly = false;
  return {
    directory,
    /** Stalls all writes for this time. They go on even when this program is killed. */
    stall: (ms) =>
      new Promise((resolve) => {
        const script = 'fsfreeze -f "$1" && sleep "$2"; fsfreeze -u "$1"';
        const argv = ['-c', script, 'sh', directory, String(ms / 1_000)];
        spawn('sh', argv, { detached: true, stdio: 'ignore' }).once('exit', resolve);
      }),
    fill() {
      const file = openSync(filling, 'w');
      try {
        for (let size = 1 << 20; size >= 1; )
          try {
            writeSync(file, Buffer.alloc(size));
          } catch (error) {
            if (error.code !== 'ENOSPC') throw error;
            size = size === 1 ? 0 : size >> 1;
          }
      } finally {
        closeSync(file);
      }
    },
    /** Becomes read-only, as a file system does after an error, even while files are open for writing. */
    makeReadOnly() {
      const device = basename(
        execFileSync('findmnt', ['-no', 'SOURCE', directory], { encoding: 'utf8' }).trim(),
      );
      writeFileSync(`/sys/fs/ext4/${device}/trigger_fs_error`, 'chaos\n');
      isReadOnly = true;
    },
    clear() {
      if (isReadOnly) {
        isReadOnly = false;
        // A damaged file system is not repaired, because the next trial has a new one.
        run('umount', directory);
        format();
        mount();
      }
      rmSync(filling, { force: true });
    },
    remove() {
      execFileSync('umount', ['-l', directory]);
      rmSync(work, { recursive: true, force: true });
    },
  };
}
