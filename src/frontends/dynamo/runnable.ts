import { parserOptions } from '../../engine-options/options.ts';
import { type Checks, type Finding, YET } from '../../model/checks.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';
import { optionName } from '../../recipe/values/flags.ts';
import { namesRelease } from './steps.ts';

const { version: KNOWN, flag, negatable, value, values } = parserOptions['dynamo.frontend'];
const OPTIONS: ReadonlySet<string> = new Set([
  ...[flag, value, values].flat(2),
  ...negatable.flatMap(({ name }) => [name, `no-${name}`]),
]);

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
 * Options that the recipe's Dynamo release refuses, with their places. Empty for releases whose options are
 * unknown.
 */
export function refused({ frontend, dynamo }: Recipe): Finding[] {
  const version = dynamo.version ?? dynamo.wheel ?? null;
  if (version !== null && !sameRelease(version, KNOWN)) return [];
  const release =
    version === null ? `Dynamo ${KNOWN}, should that be the release here,` : `Dynamo ${version}`;
  return [
    ...(dynamo.request_plane === 'http'
      ? [
          {
            path: ['dynamo', 'request_plane'],
            text: `${release} has no request plane "http", and its frontend and workers end at once: write tcp or nats`,
          },
        ]
      : []),
    ...Object.entries(frontend.args).flatMap(([name, given]) => {
      const isLeftOut = given === null || given === false;
      if (isLeftOut || OPTIONS.has(optionName(name))) return [];
      return [
        {
          path: ['frontend', 'args', name],
          text: `the frontend of ${release} has no option --${optionName(name)}, and exits because of it: python3 -m dynamo.frontend --help lists its options`,
        },
      ];
    }),
  ];
}

/** Whether two versions have the same first two numbers, because options change with these. */
const sameRelease = (a: string, b: string): boolean =>
  a.split('.').slice(0, 2).join('.') === b.split('.').slice(0, 2).join('.');
