import { open } from 'node:fs/promises';

/** A TCP socket of this machine as proc(5) lists it. */
export interface TcpSocket {
  /** `127.0.0.2`; for IPv6 sockets `::`, or 32 hexadecimal digits. IPv4 in IPv6 has the form of IPv4. */
  readonly address: string;
  readonly port: number;
  readonly listens: boolean;
  readonly uid: number;
  /** The number in the links of /proc/PID/fd; 0 when no process has the socket any more. */
  readonly inode: number;
}

const LISTENING = '0A';
const PIECE = 64 * 1024;
const EVERY_ADDRESS = new Set(['0.0.0.0', '::']);

/**
 * The sockets that a new connection to `host`:`port` on this machine may reach: those on the address itself,
 * else those on every address. Several sockets share a port when all of them allow it (SO_REUSEPORT).
 */
export async function listenersAt(host: string, port: number): Promise<TcpSocket[]> {
  const all = await socketsOn(port, { listening: true });
  const exact = all.filter(({ address }) => address === host);
  if (exact.length > 0) return exact;
  const wildcard = all.filter(({ address }) => EVERY_ADDRESS.has(address));
  // IPv4 takes precedence where both would accept the connection.
  const ipv4 = wildcard.filter(({ address }) => address === '0.0.0.0');
  return ipv4.length > 0 ? ipv4 : wildcard;
}

/** Sockets whose own port is `port`, on whatever address. */
export async function socketsOn(
  port: number,
  { listening }: { readonly listening: boolean },
): Promise<TcpSocket[]> {
  const tables = await Promise.all(
    ['/proc/net/tcp', '/proc/net/tcp6'].map((file) => readTable(file, listening)),
  );
  return tables.flat().filter((socket) => socket.port === port && (socket.listens || !listening));
}

/**
 * The kernel lists listening sockets first (tcp_seq_start in net/ipv4/tcp_ipv4.c), so the search can skip
 * thousands of connections.
 */
async function readTable(file: string, listening: boolean): Promise<TcpSocket[]> {
  const sockets: TcpSocket[] = [];
  const handle = await open(file, 'r').catch(() => undefined);
  if (!handle) return sockets;
  try {
    const buffer = Buffer.allocUnsafe(PIECE);
    let rest = '';
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, PIECE, null);
      const lines = (rest + buffer.toString('latin1', 0, bytesRead)).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const socket = parseSocket(line);
        if (!socket) continue;
        if (listening && !socket.listens) return sockets;
        sockets.push(socket);
      }
      if (bytesRead === 0) return sockets;
    }
  } finally {
    await handle.close();
  }
}

/** A line of /proc/net/tcp or tcp6; undefined for the heading. Exported for its test. */
export function parseSocket(line: string): TcpSocket | undefined {
  const [, local = '', , state, , , , uid, , inode] = line.trim().split(/\s+/);
  const [hex = '', port = ''] = local.split(':');
  if (!/^([0-9A-F]{8}|[0-9A-F]{32})$/.test(hex)) return undefined;
  return {
    address: addressOf(hex),
    port: Number.parseInt(port, 16),
    listens: state === LISTENING,
    uid: Number(uid),
    inode: Number(inode),
  };
}

/**
 * Each group of four bytes is a number in the machine's byte order, which is little-endian on all supported
 * machines.
 */
function addressOf(hex: string): string {
  const groups = hex.match(/.{8}/g) ?? [];
  const bytes = groups.flatMap((group) =>
    (group.match(/../g) ?? []).map((byte) => Number.parseInt(byte, 16)).reverse(),
  );
  if (bytes.length === 4) return bytes.join('.');
  const isMapped = bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 255 && bytes[11] === 255;
  if (isMapped) return bytes.slice(12).join('.');
  return bytes.every((byte) => byte === 0) ? '::' : Buffer.from(bytes).toString('hex');
}
