import { userInfo } from 'node:os';

/** This process's user id; 0 where the system has none. */
export const ownUid = (): number => process.getuid?.() ?? 0;

/**
 * The user's name, or the number when the system has no name for it: an id given to a container, an
 * unreachable directory service.
 */
export function ownUserName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(ownUid());
  }
}
