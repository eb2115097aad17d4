import type { Gpu } from '../model/gpus.ts';
import type { Tone } from './rows.ts';

/** How the state of a process, an agent or a point is shown. */
export function toneOf(state: string): Tone {
  if (['ready', 'joined', 'done'].includes(state)) return 'good';
  if (['failed', 'lost'].includes(state)) return 'bad';
  if (['degraded', 'suspect', 'interrupted', 'stopping'].includes(state)) return 'warn';
  return ['stopped', 'left', 'expected'].includes(state) ? 'dim' : 'busy';
}

export const whole = (value: number | undefined): string => (value === undefined ? '' : value.toFixed(0));

/** A share from 0 to 1. */
export const percent = (share: number | undefined): string =>
  share === undefined ? '' : `${(100 * share).toFixed(0)} %`;

/** Local hours and minutes, and the day unless it is near. */
export function clockOf(at: string, now: number): string {
  const date = new Date(at);
  const time = date.toTimeString().slice(0, 5);
  const isNear = Math.abs(date.getTime() - now) < 20 * 3_600_000;
  return isNear ? time : `${date.toDateString().slice(4, 10)} ${time}`;
}

/** `61/80 GB`: used and whole memory. */
export const memoryText = ({ usedBytes, totalBytes }: Gpu): string =>
  usedBytes === undefined
    ? ''
    : `${(usedBytes / 1e9).toFixed(0)}${totalBytes === undefined ? '' : `/${(totalBytes / 1e9).toFixed(0)}`} GB`;

export const useText = ({ utilization }: Gpu): string =>
  percent(utilization === undefined ? undefined : utilization / 100);

export const wattsText = ({ watts }: Gpu): string => (watts === undefined ? '' : `${watts.toFixed(0)} W`);
