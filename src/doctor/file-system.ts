import { statfs } from 'node:fs/promises';

/** f_type of statfs(2), for file systems that clusters use. */
const SHARED: Readonly<Record<number, string>> = {
  26985: 'NFS',
  198183888: 'Lustre',
  1196443219: 'GPFS',
  428016422: 'BeeGFS',
  12805120: 'CephFS',
  4283649346: 'SMB',
  4266872130: 'SMB',
  1702057286: 'FUSE',
  16914839: '9P',
  537071173: 'WekaFS',
};
const LOCAL: Readonly<Record<number, string>> = {
  61267: 'ext4',
  1481003842: 'XFS',
  2435016766: 'btrfs',
  801189825: 'ZFS',
  16914836: 'tmpfs',
  2035054128: 'overlayfs',
};

export interface FileSystem {
  readonly name: string;
  /** undefined: this kind may be either. */
  readonly shared: boolean | undefined;
  readonly freeBytes: number;
}

export async function fileSystemOf(path: string): Promise<FileSystem> {
  const { type, bavail, bsize } = await statfs(path);
  // statfs returns the kernel's signed word.
  const kind = type >>> 0;
  const shared = SHARED[kind];
  const local = LOCAL[kind];
  return {
    name: shared ?? local ?? `0x${kind.toString(16)}`,
    shared: shared === undefined ? (local === undefined ? undefined : false) : true,
    freeBytes: bavail * bsize,
  };
}

export const gib = (bytes: number): string =>
  `${(bytes / 2 ** 30).toFixed(bytes < 10 * 2 ** 30 ? 1 : 0)} GiB`;
