import type { RuntimeContext } from '../../model/kinds.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';
import type { RouterSteps, Step } from '../common/protocol.ts';

const HOUR_MS = 3_600_000;

type Dynamo = Recipe['dynamo'];

export const namesRelease = ({ version, wheel, hash, top_of_tree: newest }: Dynamo): boolean =>
  newest || version != null || wheel != null || hash != null;

/** Whether a recipe has Dynamo installed into its containers. */
export const installsDynamo = ({ dynamo }: Pick<Recipe, 'dynamo'>): boolean =>
  dynamo.install && namesRelease(dynamo);

/** Installs only into a container, which is temporary, and only when the recipe selects a Dynamo. */
export function installSteps(recipe: Recipe, runtime: RuntimeContext): RouterSteps {
  if (!runtime.containers || !installsDynamo(recipe)) return { once: [], inImage: [] };
  const { dynamo } = recipe;
  const wheels = `${runtime.jobDir}/dynamo-wheels`;
  const commit = dynamo.hash ?? (dynamo.top_of_tree ? 'HEAD' : null);
  const source = commit === null ? [dynamo.wheel ?? dynamo.version] : ['--built', wheels];
  const build = (which: string): Step => ({
    name: 'build-dynamo',
    phase: 'fetch',
    argv: [
      ...['bash', `${runtime.distDir}/steps/build-dynamo.sh`, which, wheels],
      ...(dynamo.cargo_patches ?? []),
    ],
    ...(dynamo.git == null ? {} : { env: { DYNAMO_REPOSITORY: dynamo.git } }),
    timeoutMs: 2 * HOUR_MS,
  });
  const install: Step = {
    name: 'install-dynamo',
    phase: 'install',
    argv: ['bash', `${runtime.distDir}/steps/install-dynamo.sh`, ...source.map(String)],
    timeoutMs: HOUR_MS,
  };
  return { once: commit === null ? [] : [build(commit)], inImage: [install] };
}
