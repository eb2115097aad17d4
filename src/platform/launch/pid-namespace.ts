import { SrtctlError } from '../../os/errors.ts';
import { outputOf } from '../../os/processes/output-of.ts';

/** The command of unshare(1): one PID namespace for an agent and its processes, which ends with its first process. */
export const UNSHARE = [
  'unshare',
  ...['--map-current-user', '--pid', '--fork', '--kill-child=KILL'],
  // The namespace must see later mounts of the node.
  ...['--mount-proc', '--propagation', 'slave'],
] as const;

/** The first process of the namespace. It reaps orphans, because Node does not, and ends with the agent. */
export const INIT = ['/bin/sh', '-c', '"$@" & wait $!', 'srtctl-init'] as const;

export const NOT_POSSIBLE =
  'supervision.pid_namespace: true is not possible here: it needs unprivileged user namespaces (user.max_user_namespaces, kernel.unprivileged_userns_clone, AppArmor) and unshare of util-linux 2.34 or later; leave it out, and agents end what they ran by process group and by mark';

/** @throws SrtctlError when this machine does not allow PID namespaces; nothing has been started by then */
export async function requirePidNamespace(): Promise<void> {
  const [command, ...options] = UNSHARE;
  try {
    await outputOf(command, [...options, 'true'], { timeoutMs: 10_000 });
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    const said = (stderr || message).trim();
    throw new SrtctlError('no-pid-namespace', `${NOT_POSSIBLE} (${said})`);
  }
}
