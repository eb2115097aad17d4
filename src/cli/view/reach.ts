import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import { type Serving, servingSchema } from '../../messages/job-directory/result.ts';
import { shellQuote } from '../../os/quote.ts';
import type { JobOnDisk } from '../jobs/job-dir.ts';

/** Where a point serves, when its benchmark is none (`manual`); undefined for other points. */
export function servingOf({ jobDir }: Pick<JobOnDisk, 'jobDir'>, ordinal: number): Serving | undefined {
  const points = join(jobDir, 'points');
  if (!existsSync(points)) return undefined;
  const own = readdirSync(points).find((name) => Number.parseInt(name, 10) === ordinal);
  const file = own === undefined ? undefined : join(points, own, 'serving.json');
  if (file === undefined || !existsSync(file)) return undefined;
  try {
    return servingSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return undefined;
  }
}

export const urlOf = ({ host, port }: Pick<Serving, 'host' | 'port'>): string =>
  `http://${host.includes(':') ? `[${host}]` : host}:${port}`;

/** The command with which another machine reaches a deployment through this one, at its own port of the same number. */
export const tunnelTo = ({ host, port }: Pick<Serving, 'host' | 'port'>): string =>
  `ssh -N -L ${port}:${host.includes(':') ? `[${host}]` : host}:${port} ${userInfo().username}@${hostname()}`;

/** How a person reaches a deployment: from this machine, and from elsewhere through a tunnel. */
export function reachLines(serving: Serving, { jobId }: Pick<JobOnDisk, 'jobId'>): string[] {
  const { port, node, model } = serving;
  const url = urlOf(serving);
  const question = JSON.stringify({ model, prompt: 'Hello', max_tokens: 16 });
  return [
    `serving ${model} at ${url}/v1 (${node})`,
    `  try      curl ${url}/v1/completions -H 'Content-Type: application/json' -d ${shellQuote(question)}`,
    `  tunnel   ${tunnelTo(serving)}   then http://localhost:${port}/v1`,
    `  stop     srtctl cancel ${jobId}`,
  ];
}
