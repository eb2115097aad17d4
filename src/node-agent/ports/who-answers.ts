import { isKin, jobOf, type Kin } from '../leftovers/kin.ts';
import { describeHolder, filesAreReadable, holdersOf } from './port-holders.ts';
import { listenersAt, type TcpSocket } from './tcp-table.ts';

export interface Answerer extends Kin {
  readonly jobId: string;
  /**
   * A part of it is no descendant of its first process: it is below a container's daemon, or a rank of an MPI
   * launch.
   */
  readonly isBeyond: boolean;
}

/** Who listens at the probed address of a process. `says` is the end of a sentence, for people. */
export type WhoAnswers =
  | { readonly who: 'ours' }
  | { readonly who: 'stranger'; readonly says: string }
  /** Unknown: a process in another network namespace or of another user is invisible. */
  | { readonly who: 'unseen'; readonly says: string };

/**
 * Determines which process listens at an address of this machine: the start of a process that `own` describes, or a
 * stranger. When one of several sockets on the port is a stranger's, the answer is the stranger, because the kernel
 * distributes connections over all sockets.
 */
export async function whoAnswers(host: string, port: number, own: Answerer): Promise<WhoAnswers> {
  const listeners = await listenersAt(host, port);
  if (listeners.length === 0)
    return { who: 'unseen', says: 'what listens there is not in the table of sockets of this machine' };
  let unseen: WhoAnswers | undefined;
  for (const listener of listeners) {
    const answer = await whoHas(listener, own);
    if (answer.who === 'stranger') return answer;
    if (answer.who === 'unseen') unseen = answer;
  }
  return unseen ?? { who: 'ours' };
}

async function whoHas(socket: TcpSocket, own: Answerer): Promise<WhoAnswers> {
  const isOurs = (pid: number) => isKin(pid, own) === true;
  const pids = await holdersOf(socket.inode, { first: own.group, enough: isOurs });
  if (pids.some(isOurs)) return { who: 'ours' };
  const [pid] = pids;
  const holder = await describeHolder(socket, pid);
  const cannotTell = (why: string): WhoAnswers => ({
    who: 'unseen',
    says: `whether it is this process that listens there cannot be seen: ${why}`,
  });
  if (own.isBeyond) {
    const job = pid === undefined ? undefined : jobOf(pid);
    const isAnothers = job !== undefined && job !== own.jobId;
    return isAnothers ? { who: 'stranger', says: holder } : cannotTell(`it is ${holder}`);
  }
  // The open files of our process are readable, unless it runs as another user or forbids it.
  if (pid === undefined && !filesAreReadable(own.group))
    return cannotTell('its open files may not be read by the agent');
  return { who: 'stranger', says: holder };
}
