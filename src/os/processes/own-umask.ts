/** No process of srtctl, and none that it starts, makes files that others can write. */
const FOR_OTHERS = 0o022;

/**
 * Takes the right to write away from the group and from others for every file that this process and its children make,
 * whatever the user's umask allows; a stricter umask stays as it is. Results that somebody else can write prove nothing.
 */
export function setOwnUmask(): void {
  const users = process.umask(FOR_OTHERS);
  process.umask(users | FOR_OTHERS);
}
