import { type Row, row, span } from './rows.ts';

const KEYS: readonly (readonly [string, string])[] = [
  ['↑ ↓ j k', 'move; PgUp, PgDn, Home and End, too'],
  ['Enter →', 'open: a job, a node, a process'],
  ['Esc ← q', 'back; q on the first page ends the watching, not the job'],
  ['/', 'show only what has a text; in a log, search it (n, N: next above, below)'],
  ['s', 'another order of the list'],
  ['f', 'follow: stay at the newest line, or at the first of the list'],
  ['n', 'the nodes of the job, slow ones first'],
  ['e', 'all events of the job, or of the node'],
  ['Tab', 'of a process: its log, its history, its command and environment'],
  ['y', 'copy the command of the process to the clipboard of the terminal'],
  ['c', 'cancel the job; asks first'],
  ['Ctrl-C', 'end the watching; the job goes on'],
];

export const helpRows = (): Row[] => [
  row('keys', 'title'),
  ...KEYS.map(([key, text]) => [span(`  ${key.padEnd(10)}`, 'busy'), span(text)]),
  row(''),
  row('any key closes this', 'dim'),
];
