import { userInfo } from 'node:os';

/** This process's user id; 0 where the system has none. */
export const ownUid = (): number => process.getuid?.() ?? 0;

/** The user's name, or the number of one that the system knows by no name: an id given to a container, a directory service that is away. */
export function ownUserName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(ownUid());
  }
}
