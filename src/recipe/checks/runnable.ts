import { existsSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { backendFor } from '../../backends/index.ts';
import { benchmarkFor, runnableBenchmarkTypes } from '../../benchmarks/index.ts';
import { frontendFor } from '../../frontends/index.ts';
import type { Finding, Way } from '../../model/checks.ts';
import { type Path, type Problem, RecipeProblems } from '../source/problems.ts';
import { type LoadedVariant, placeIn } from '../variant.ts';

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
    const { model, backend, benchmark, frontend } = recipe;
    if (!options.mock)
      checkModel(model.path, exists, (message, hint) => complain(['model', 'path'], message, hint));
    if (!options.mock && options.containers) {
      const at = ['model', 'container'];
      checkImage(model.container, (message, hint) => complain(at, message, hint));
      checkImageKind(model.container, options.runtime, (message, hint) => complain(at, message, hint));
      if (frontend.enable_multiple_frontends) {
        const at = ['frontend', 'nginx_container'];
        checkImage(frontend.nginx_container, (message, hint) => complain(at, message, hint));
        checkImageKind(frontend.nginx_container, options.runtime, (message, hint) =>
          complain(at, message, hint),
        );
      }
    }
    say(backendFor(backend.type)?.cannotRun?.(recipe, options));
    say(frontendFor(frontend.type)?.cannotRun?.(recipe, options));
    if (recipe.dynamo.engine_mode === 'sidecar') {
      complain(['dynamo', 'engine_mode'], 'an engine beside its Dynamo worker cannot be run yet');
    }
    const kind = benchmarkFor(benchmark.type);
    if (!kind) {
      complain(
        ['benchmark', 'type'],
        `benchmark "${benchmark.type}" is known but cannot be run yet`,
        `these can: ${runnableBenchmarkTypes.join(', ')}`,
      );
    }
    say(kind?.cannotRun?.(recipe, options));
  }
  if (problems.length > 0) throw new RecipeProblems(problems, 'not-runnable');
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
