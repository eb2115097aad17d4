import { frontendFor } from '../frontends/index.ts';
import type { Recipe } from '../recipe/schema/schema.ts';

type Options = Readonly<Record<string, string>>;

/**
 * A setup script or an installation of the router writes into the image: for pyxis its file system has to be writable, and
 * the user root in it, which a site's configuration may say otherwise. What the recipe's srun_options say goes before.
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
