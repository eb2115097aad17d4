import { frontendFor } from '../frontends/index.ts';
import type { Recipe } from '../recipe/schema/schema.ts';

type Options = Readonly<Record<string, string>>;

/**
 * A setup script or an installation of the router writes into the image. For pyxis, the image's file system then has to
 * be writable and the user has to be root in it, although a site's configuration may say otherwise. The recipe's
 * srun_options take precedence.
 */
export function installOptions(recipe: Recipe, setupScript: string | null): Options {
  const writesImage = setupScript !== null || frontendFor(recipe.frontend.type)?.writesImage?.(recipe);
  if (!writesImage) return recipe.srun_options;
  const unsaid = (option: string, ...contrary: string[]): Options =>
    [option, ...contrary].some((name) => name in recipe.srun_options) ? {} : { [option]: '' };
  return {
    ...unsaid('container-writable', 'no-container-writable', 'container-readonly'),
    ...unsaid('container-remap-root', 'no-container-remap-root'),
    ...recipe.srun_options,
  };
}
