import type { Recipe } from './schema/schema.ts';
import { COMMIT } from './schema/services.ts';
import type { LoadedVariant } from './variant.ts';

/** The repository of Dynamo, where a recipe names none. */
const DYNAMO = 'https://github.com/ai-dynamo/dynamo.git';

/** A revision in a recipe that is not a commit, and what it is now. */
export interface Pinned {
  readonly variants: readonly LoadedVariant[];
  /** `services[0].source: refs/pull/7/head is 0123…`. */
  readonly notes: readonly string[];
  /** The revisions that could not be looked up, with the reason. */
  readonly problems: readonly string[];
}

/**
 * Replaces tags and refs/pull/N/head of sources by their commits, so that a job that waits in the queue builds what it was
 * submitted with. One that cannot be looked up stays: the nodes may reach the repository.
 */
export async function pinSources(
  variants: readonly LoadedVariant[],
  commitOf: (repository: string, revision: string) => Promise<string>,
): Promise<Pinned> {
  const asked = new Map<string, Promise<string | Error>>();
  const notes = new Set<string>();
  const problems = new Set<string>();
  const pin = async (path: string, repository: string, revision: string): Promise<string | undefined> => {
    const key = JSON.stringify([repository, revision]);
    const answer =
      asked.get(key) ??
      commitOf(repository, revision).catch((error: unknown) =>
        error instanceof Error ? error : new Error(String(error)),
      );
    asked.set(key, answer);
    const commit = await answer;
    if (typeof commit === 'string') {
      notes.add(`${path}: ${revision} is ${commit}`);
      return commit;
    }
    const [reason = ''] = commit.message.trim().split('\n').slice(-1);
    problems.add(
      `${path}: ${revision} of ${repository} cannot be looked up here, so the job looks it up when it runs (${reason})`,
    );
    return undefined;
  };
  const pinned = async <R extends Recipe>(recipe: R): Promise<R> => {
    const { dynamo, services } = recipe;
    const { hash } = dynamo;
    const builds = dynamo.install && recipe.frontend.type === 'dynamo';
    const own =
      hash != null && builds && !COMMIT.test(hash)
        ? await pin('dynamo', dynamo.git ?? DYNAMO, hash)
        : undefined;
    const resolved = await Promise.all(
      (services ?? []).map(async (service, at) => {
        const { source, enabled } = service;
        if (!enabled || source == null || source.sha != null || COMMIT.test(source.rev)) return service;
        const sha = await pin(`services[${at}].source`, source.git, source.rev);
        return sha === undefined ? service : { ...service, source: { ...source, sha } };
      }),
    );
    return {
      ...recipe,
      dynamo: own === undefined ? dynamo : { ...dynamo, hash: own },
      ...(services == null ? {} : { services: resolved }),
    };
  };
  const all = await Promise.all(
    variants.map(async (variant) => ({
      ...variant,
      points: await Promise.all(
        variant.points.map(async (point) => ({ ...point, recipe: await pinned(point.recipe) })),
      ),
    })),
  );
  return { variants: all, notes: [...notes], problems: [...problems] };
}
