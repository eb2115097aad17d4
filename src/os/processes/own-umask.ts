/** Write permission for group and others, which no file of srtctl or its children gets. */
const FOR_OTHERS = 0o022;

/**
 * Removes the permission to write from group and others for every file that this process and its children
 * create, whatever the user's umask; a stricter umask stays. Results that others can write prove nothing.
 */
export function setOwnUmask(): void {
  const users = process.umask(FOR_OTHERS);
  process.umask(users | FOR_OTHERS);
}
