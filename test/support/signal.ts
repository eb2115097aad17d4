/** A signal for a process that must exist. 0 is refused, because it would signal the test's own group. */
export function signal(pid: number | null | undefined, name: NodeJS.Signals): void {
  if (!pid || pid < 0) throw new Error(`there is no process to send ${name} to`);
  process.kill(pid, name);
}

/** Ends a process that may already have ended. */
export function endIfThere(pid: number): void {
  try {
    signal(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
