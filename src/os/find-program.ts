import { accessSync, constants, statSync } from 'node:fs';
import { basename, delimiter, dirname, isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SrtctlError } from './errors.ts';
import { machineOfArch, machineOfProgram } from './machine.ts';

/** How to install a program that the coordinator or an agent needs. */
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
 * .srtctl/bin of srtctl's own installation (`make setup` puts them there), else PATH. Never the working
 * directory, because a program that another user puts there would run as this user. A directory below
 * .srtctl/bin with the machine's `uname -m` goes first, because nodes of several architectures may share it.
 * @throws SrtctlError with how to install it, or when the program is for another architecture
 */
export function findProgram(
  name: 'nats-server' | 'etcd',
  env: NodeJS.ProcessEnv,
  cwd: string,
  machine: string = machineOfArch(),
  installation: string = INSTALLATION,
): string {
  const variable = variableOf(name);
  const told = env[variable];
  if (told) {
    const file = resolve(cwd, told);
    if (!isExecutable(file))
      throw new SrtctlError('program-not-found', `${variable}=${told} is not a program`, {
        hint: HOW_TO_GET[name] ?? '',
      });
    if (!runsOn(file, machine)) throw otherMachine(name, file, machine);
    return file;
  }
  const own = [join(ownDirectory(installation), machine), ownDirectory(installation)];
  // An empty or relative entry of PATH means the working directory.
  const path = (env.PATH ?? '').split(delimiter).filter(isAbsolute);
  const places = [...own, ...path, '/usr/sbin', '/usr/local/sbin'];
  const there = places.map((place) => join(place, name)).filter(isExecutable);
  const found = there.find((file) => runsOn(file, machine));
  if (found) return found;
  const [other] = there;
  if (other !== undefined) throw otherMachine(name, other, machine);
  throw new SrtctlError('program-not-found', `${name} not found`, { hint: HOW_TO_GET[name] ?? '' });
}

/**
 * The word for the program in a command. It is the path where a variable sets it or srtctl brought it,
 * because another program on a node's PATH must not replace it. Otherwise it is the name, because each node
 * may have its own elsewhere.
 */
export function commandOf(
  name: 'nats-server' | 'etcd',
  env: NodeJS.ProcessEnv,
  cwd: string,
  installation: string = INSTALLATION,
): string {
  const found = findProgram(name, env, cwd, undefined, installation);
  return env[variableOf(name)] || found.startsWith(`${ownDirectory(installation)}/`) ? found : name;
}

/**
 * The nats-server that `make setup` installs beside an old one of the system; undefined when this machine has
 * none.
 */
export function findNewerNats(installation: string = INSTALLATION): string | undefined {
  const machine = machineOfArch();
  const file = join(ownDirectory(installation), 'newer', 'nats-server');
  return isExecutable(file) && runsOn(file, machine) ? file : undefined;
}

const variableOf = (name: string): string => `SRTCTL_${name.toUpperCase().replaceAll('-', '_')}`;

const ownDirectory = (installation: string): string => join(installation, '.srtctl/bin');

/** The directory that contains dist/, or src/ when the sources run. */
const INSTALLATION = (() => {
  let at = dirname(fileURLToPath(import.meta.url));
  while (!['dist', 'src'].includes(basename(at)) && dirname(at) !== at) at = dirname(at);
  return dirname(at);
})();

function runsOn(file: string, machine: string): boolean {
  const built = machineOfProgram(file);
  return built === undefined || built === machine;
}

const otherMachine = (name: string, file: string, machine: string): SrtctlError =>
  new SrtctlError(
    'program-not-found',
    `${file} is for ${machineOfProgram(file)}, and this node is ${machine}`,
    {
      hint: `put a ${name} for ${machine} into .srtctl/bin/${machine}`,
    },
  );
