/**
 * Passes the first `burst` lines at once, then one line in `everyMs` with the number of suppressed ones, so
 * that no sender can fill a log.
 */
export function throttled(
  log: (message: string, detail?: unknown) => void,
  now: () => number = () => performance.now(),
  burst = 10,
  everyMs = 10_000,
): (message: string, detail?: unknown) => void {
  let left = burst;
  let leftOut = 0;
  let lastAt = now();
  return (message, detail) => {
    if (left > 0) left--;
    else if (now() - lastAt < everyMs) {
      leftOut++;
      return;
    }
    lastAt = now();
    log(leftOut === 0 ? message : `${message} (and ${leftOut} more that were left out)`, detail);
    leftOut = 0;
  };
}
