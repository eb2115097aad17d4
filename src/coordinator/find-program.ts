import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { SrtctlError } from '../errors.ts';

/** How to get a program that the coordinator or an agent needs. */
const HOW_TO_GET: Record<string, string> = {
  'nats-server':
    'install it (Debian: apt-get install nats-server), put it into .srtctl/bin, or set SRTCTL_NATS_SERVER to its path',
  etcd: 'install it (Debian: apt-get install etcd-server), put it into .srtctl/bin, or set SRTCTL_ETCD to its path',
};

const isExecutable = (file: string): boolean => {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
};

/**
 * Absolute path of nats-server or etcd: the variable (SRTCTL_NATS_SERVER, SRTCTL_ETCD) if it is set, else
 * .srtctl/bin below the working directory, else PATH. Throws a SrtctlError that says how to get it.
 */
export function findProgram(name: 'nats-server' | 'etcd', env: NodeJS.ProcessEnv, cwd: string): string {
  const variable = `SRTCTL_${name.toUpperCase().replaceAll('-', '_')}`;
  const told = env[variable];
  if (told) {
    if (isExecutable(told)) return resolve(cwd, told);
    throw new SrtctlError('program-not-found', `${variable}=${told} is not a program`, {
      hint: HOW_TO_GET[name] ?? '',
    });
  }
  const places = [
    join(cwd, '.srtctl/bin'),
    ...(env.PATH ?? '').split(delimiter),
    '/usr/sbin',
    '/usr/local/sbin',
  ];
  const found = places.map((place) => join(place, name)).find(isExecutable);
  if (found) return found;
  throw new SrtctlError('program-not-found', `${name} not found`, { hint: HOW_TO_GET[name] ?? '' });
}
