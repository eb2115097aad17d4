import { existsSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { backendFor } from '../../backends/index.ts';
import { evaluationProblems } from '../../benchmarks/accuracy/post-eval.ts';
import { benchmarkFor, runnableBenchmarkTypes } from '../../benchmarks/index.ts';
import { frontendFor } from '../../frontends/index.ts';
import type { Finding, Way } from '../../model/checks.ts';
import { modesOf, ofEngines } from '../../model/recipe-of.ts';
import type { ClusterConfig } from '../schema/cluster.ts';
import type { Recipe } from '../schema/schema.ts';
import { hasWorkers } from '../schema/service-checks.ts';
import { type Path, type Problem, RecipeProblems } from '../source/problems.ts';
import { type LoadedVariant, placeIn } from '../variant.ts';
import { experimentProblems } from './experiment.ts';
import { sidecarProblems } from './sidecar.ts';

/**
 * A recipe can be planned without its model, but not run.
 * @throws RecipeProblems for a missing model, image or variable, and for features that srtctl cannot run yet
 */
export function requireRunnable(
  variant: LoadedVariant,
  options: Way,
  exists: (path: string) => boolean = existsSync,
): void {
  const problems: Problem[] = [];
  const complain = (path: Path, message: string, hint?: string) => {
    const place = placeIn(variant, path);
    const known = problems.some(
      (problem) => problem.place.path === place.path && problem.message === message,
    );
    if (!known) problems.push({ message, place, hint });
  };
  const say = (found: readonly Finding[] = []) => {
    for (const { path, text, hint } of found) complain(path, text, hint);
  };
  for (const { recipe } of variant.points) {
    const { model, benchmark, frontend } = recipe;
    if (!options.mock)
      checkModel(model.path, exists, (message, hint) => complain(['model', 'path'], message, hint));
    if (!options.mock && options.containers) {
      const images: (readonly [path: Path, image: string | null | undefined])[] = [
        [['model', 'container'], model.container],
        ...modesOf(recipe).map(
          (mode) => [['roles', mode, 'container'], recipe.roles?.[mode]?.container] as const,
        ),
        [['frontend', 'container_image'], frontend.container_image],
        ...(frontend.enable_multiple_frontends
          ? [[['frontend', 'nginx_container'], frontend.nginx_container] as const]
          : []),
        ...(recipe.services ?? []).map(
          ({ container, enabled }, at) =>
            [['services', at, 'container'], enabled ? container : null] as const,
        ),
      ];
      for (const [at, image] of images) {
        if (image == null) continue;
        checkImage(image, (message, hint) => complain(at, message, hint));
        checkImageKind(image, options.runtime, (message, hint) => complain(at, message, hint));
      }
    }
    if (hasWorkers(recipe))
      say(ofEngines(recipe, (view) => backendFor(view.backend.type)?.cannotRun?.(view, options)));
    say(frontendFor(frontend.type)?.cannotRun?.(recipe, options));
    say(sidecarProblems(recipe));
    say(experimentProblems(recipe));
    const kind = benchmarkFor(benchmark.type);
    if (!kind) {
      complain(
        ['benchmark', 'type'],
        `benchmark "${benchmark.type}" is known but cannot be run yet`,
        `these can: ${runnableBenchmarkTypes.join(', ')}`,
      );
    }
    say(kind?.cannotRun?.(recipe, options));
    say(evaluationProblems(recipe, options));
    // The paths of a container are not those of this machine.
    if (!options.containers) say(missingFiles(recipe, options, exists));
  }
  if (problems.length > 0) throw new RecipeProblems(problems, 'not-runnable');
}

/** Where only nodes have the models (`preflight: false` in srtslurm.yaml), an absolute path counts as existing. */
export const existsFor = ({ preflight }: Pick<ClusterConfig, 'preflight'>): ((path: string) => boolean) =>
  preflight ? existsSync : (path) => isAbsolute(path) || existsSync(path);

/** Files of the benchmark that are not here. A name of the hub has no place of its own. */
function missingFiles({ benchmark }: Recipe, { mock }: Way, exists: (path: string) => boolean): Finding[] {
  // Simulated engines have no tokenizer.
  const keys = mock ? (['dataset_path'] as const) : (['dataset_path', 'tokenizer'] as const);
  return keys.flatMap((key) => {
    const path = benchmark[key];
    if (path == null || !isAbsolute(path) || exists(path)) return [];
    return [{ path: ['benchmark', key], text: `${path} does not exist` }];
  });
}

type Complain = (message: string, hint?: string) => void;

function checkModel(path: string, exists: (path: string) => boolean, complain: Complain): void {
  const variable = /\$\{?\w+\}?/.exec(path)?.[0];
  if (variable !== undefined) {
    complain(`environment variable ${variable} is not set`);
    return;
  }
  if (path.startsWith('hf:')) return;
  if (isAbsolute(path)) {
    if (!exists(path)) complain(`model directory ${path} does not exist`);
    return;
  }
  if (!exists(path)) {
    complain(
      `"${path}" is no alias in model_paths of srtslurm.yaml and no directory`,
      'hf:org/name names a model to download',
    );
  }
}

/** Checks the image against the runtime, which starts either files or images of a registry. */
function checkImageKind(image: string, runtime: string | undefined, complain: Complain): void {
  const isFile = /^[./]/.test(image) || /\.(sqsh|sif|img)$/.test(image);
  if (runtime === 'enroot' && !isFile)
    complain(
      `enroot starts files, and "${image}" is in a registry`,
      `enroot import -o FILE.sqsh docker://${image}, and name the file under containers in srtslurm.yaml`,
    );
  if ((runtime === 'docker' || runtime === 'podman') && isFile)
    complain(
      `${runtime} starts images of a registry, and "${image}" is a file`,
      'name the image as registry/path:tag',
    );
}

/** A registry's image has a "/", ":" or "#" in its name; a bare word can only be an alias. */
function checkImage(image: string, complain: Complain): void {
  const variable = /\$\{?\w+\}?/.exec(image)?.[0];
  if (variable !== undefined) complain(`environment variable ${variable} is not set`);
  else if (!/[/:#]/.test(image))
    complain(`"${image}" is no alias in containers of srtslurm.yaml and no image`);
}
