import { createSocket } from 'node:dgram';
import { networkInterfaces } from 'node:os';

/** IPv4 address of a network interface of this machine; undefined when it has none. */
export const addressOfInterface = (name: string): string | undefined =>
  networkInterfaces()[name]?.find(({ family }) => family === 'IPv4')?.address;

/**
 * This machine's address on the route to `host`. No packet is sent: connecting a datagram socket only asks
 * the kernel for the route.
 */
export function addressTowards(host: string, port = 9): Promise<string> {
  const socket = createSocket('udp4');
  return new Promise<string>((resolve, reject) => {
    socket.once('error', reject);
    socket.connect(port, host, () => resolve(socket.address().address));
  }).finally(() => socket.close());
}
