import { parserOptions } from '../../engine-options/options.ts';
import { type Checks, type Finding, YET } from '../../model/checks.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';
import type { NatsNeed } from '../common/protocol.ts';
import { namesRelease } from './steps.ts';

const { version: KNOWN } = parserOptions['dynamo.frontend'];

export const notDone: NonNullable<Checks['notDone']> = ({ dynamo }, { mock, containers }) =>
  !mock && !containers && dynamo.install && namesRelease(dynamo)
    ? [
        {
          path: ['dynamo', 'install'],
          text: `${YET}without a container srtctl installs nothing: the node's own Python must have Dynamo`,
        },
      ]
    : [];

/**
 * Releases of Dynamo before 1.0 ask JetStream for its account's figures when they start, and end when `reserved_memory` is
 * not among them (async-nats: `data did not match any variant of untagged enum Response`; seen with 0.8.1 and 0.9.1). The
 * server has it from 2.10.8 on (server/jetstream.go, AccountStats). Dynamo 1.0.2 to 1.6.1 do not ask.
 */
export function natsNeed({ dynamo }: Pick<Recipe, 'dynamo'>): NatsNeed | undefined {
  const installed = dynamo.version ?? dynamo.wheel ?? null;
  if (installed !== null && !installed.startsWith('0.')) return undefined;
  const user = installed === null ? 'a Dynamo before 1.0' : `Dynamo ${installed}`;
  return { release: '2.10.8', user, isCertain: installed !== null };
}

/** Settings of workers and routers that the recipe's Dynamo release refuses; their options have tables. */
export function refused({ dynamo }: Recipe): Finding[] {
  const version = dynamo.version ?? dynamo.wheel ?? null;
  if (dynamo.request_plane !== 'http' || (version !== null && !sameRelease(version, KNOWN))) return [];
  const release =
    version === null ? `Dynamo ${KNOWN}, should that be the release here,` : `Dynamo ${version}`;
  return [
    {
      path: ['dynamo', 'request_plane'],
      text: `${release} has no request plane "http", and its frontend and workers end at once: write tcp or nats`,
    },
  ];
}

/** Whether two versions have the same first two numbers, because options change with these. */
const sameRelease = (a: string, b: string): boolean =>
  a.split('.').slice(0, 2).join('.') === b.split('.').slice(0, 2).join('.');
