import type { ProcessSpec } from '../../messages/spec/process-spec.ts';
import { createRuntimeContext, dryRunInput, type RuntimeInput } from '../../plan/runtime-context.ts';
import { containerRuntimeOf, processRuntimeOf } from '../../platform/container-runtime.ts';
import { containerCommand } from '../../platform/containers/container.ts';
import { mpiCommand } from '../../platform/containers/mpi.ts';
import { containerMounts, jobValues, withJobOptions } from '../../platform/mounts.ts';
import { runtimesOf, spareRuntimesOf } from '../../platform/runtimes.ts';
import type { LoadedVariant } from '../../recipe/load.ts';
import type { ClusterConfig } from '../../recipe/schema/cluster.ts';

/** The mounts that containers of a variant get on Slurm, where `input` says what the job is. */
export function mountsOf(
  variant: LoadedVariant,
  cluster: ClusterConfig,
  input: RuntimeInput,
): readonly string[] {
  return launchParts(variant, cluster, input)?.mounts ?? [];
}

/**
 * The words that an agent puts before the command of a process on Slurm: a container of its own, or the srun
 * of its ranks. Empty for a process that the agent starts directly (with pyxis the agent itself is in the
 * container).
 */
export function launchPrefix(
  variant: LoadedVariant,
  cluster: ClusterConfig,
  nodes: readonly string[],
  input: RuntimeInput = dryRunInput(nodes, cluster),
): (spec: ProcessSpec) => string[] {
  const parts = launchParts(variant, cluster, input);
  if (!parts) return () => [];
  const { recipe, mounts } = parts;
  const { jobId, distDir, tmpDir } = input;
  const kind = containerRuntimeOf(cluster, { mock: false, mode: 'slurm' });
  const runtime = processRuntimeOf(kind);
  return (spec) => {
    const name = `srtctl-${jobId}-${spec.node}-${spec.id}`;
    const container =
      runtime && spec.image !== null
        ? containerCommand({
            runtime,
            image: spec.image,
            mounts: [...mounts, `${tmpDir}-node:${tmpDir}-node`],
            home: `${tmpDir}-node`,
            name,
            variables: Object.keys(spec.env).sort(),
            gpus: spec.gpus.length > 0 || spec.seesGpus === true,
            cwd: spec.cwd,
            user: { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 },
            devices: [],
            distDir,
            argv: [],
          })
        : [];
    if (!spec.mpi) return container;
    return mpiCommand({
      launcher: {
        kind: 'srun',
        mpi: recipe.srun_options.mpi ?? 'pmix',
        pyxisMounts: kind === 'pyxis' ? mounts : null,
        options: recipe.srun_options,
        components: [[...nodes]],
      },
      ...spec.mpi,
      options: spec.srunOptions ?? {},
      image: runtime ? null : spec.image,
      name,
      env: spec.env,
      gpus: spec.gpus,
      distDir,
      argv: container,
    });
  };
}

function launchParts(variant: LoadedVariant, cluster: ClusterConfig, input: RuntimeInput) {
  const asked = variant.points[0]?.recipe;
  if (!asked) return undefined;
  const { jobId, jobDir, distDir, addresses, nodes } = input;
  // A path that is missing on this machine may exist on the nodes.
  const job = { id: jobId, name: variant.name, jobDir, logDir: createRuntimeContext(input).logDir };
  const places = { job, headAddress: addresses[nodes[0] ?? ''] ?? '', nodes };
  const recipe = withJobOptions(asked, jobValues({ recipe: asked, ...places }));
  const mounts = containerMounts({
    ...{ recipe, cluster, env: process.env },
    ...places,
    srtctl: {
      distDir,
      programDirs: [],
      runtimes: runtimesOf(cluster, distDir),
      spareRuntimes: spareRuntimesOf(cluster, distDir),
    },
    mock: false,
  });
  return { recipe, mounts };
}
