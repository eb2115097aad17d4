import { type Logger, pino } from 'pino';

/** A program's log of its own doings, on standard output. A disk that is full takes lines from it, and nothing else. */
export function ownLog(): Logger {
  const destination = pino.destination({ fd: 1, sync: true });
  destination.on('error', () => undefined);
  return pino({ base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination);
}
