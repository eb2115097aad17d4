import { randomBytes } from 'node:crypto';
import { basename, join } from 'node:path';
import * as z from 'zod';
import type { OptionCheck } from '../../doctor/world.ts';
import type { ProcessSpec } from '../../messages/spec/process-spec.ts';
import { isOptionCheck, optionCacheOf } from '../../plan/options/check-step.ts';
import { eachPoint, nodesToAllocate, planSweep } from '../../plan/plan.ts';
import { createRuntimeContext, dryRunInput, type RuntimeInput } from '../../plan/runtime-context.ts';
import { containerRuntimeOf, processRuntimeOf } from '../../platform/container-runtime.ts';
import { containerEnvironment } from '../../platform/containers/container.ts';
import { optionWords, pyxisOptions } from '../../platform/containers/srun-options.ts';
import type { LoadedVariant } from '../../recipe/load.ts';
import type { ClusterConfig } from '../../recipe/schema/cluster.ts';
import { launchPrefix, mountsOf } from './launch.ts';

const contentSchema = z.looseObject({
  lines: z.array(z.looseObject({ program: z.string(), args: z.array(z.string()) })),
});

/** The checks that jobs of these variants would make before their workers start, each once. */
export function optionChecksOf(
  variants: readonly LoadedVariant[],
  cluster: ClusterConfig,
  place: { readonly outputs: string; readonly distDir: string },
): OptionCheck[] {
  const checks = new Map<string, OptionCheck>();
  for (const variant of variants) {
    const directory = join(place.outputs, `.srtctl-preflight-${randomBytes(4).toString('hex')}`);
    const nodes = Array.from({ length: nodesToAllocate(variant) }, (_, at) => `node${at + 1}`);
    const input: RuntimeInput = {
      ...dryRunInput(nodes, cluster),
      ...{ jobDir: directory, tmpDir: `${directory}/tmp`, distDir: place.distDir, checksOptions: true },
    };
    for (const { processes } of eachPoint(planSweep(variant, createRuntimeContext(input))))
      for (const spec of processes.filter(isOptionCheck)) {
        const check = checkOf(spec, variant, cluster, input);
        const { lines } = contentSchema.parse(JSON.parse(check.content));
        const key = JSON.stringify([check.image, lines.map(({ program, args }) => [program, args])]);
        if (!checks.has(key)) checks.set(key, check);
      }
  }
  return [...checks.values()];
}

function checkOf(
  spec: ProcessSpec,
  variant: LoadedVariant,
  cluster: ClusterConfig,
  input: RuntimeInput,
): OptionCheck {
  const { image, argv, env, files, srunOptions } = spec;
  const { path = '', content = '' } = files?.[0] ?? {};
  const kind = containerRuntimeOf(cluster, { mock: false, mode: 'slurm' });
  const runtime = processRuntimeOf(kind);
  const names = Object.keys(env).sort();
  const container =
    kind === 'pyxis' && image !== null ? pyxisOptions(image, mountsOf(variant, cluster, input), names) : {};
  const programs = contentSchema.parse(JSON.parse(content)).lines.map(({ program }) => program);
  return {
    image,
    content,
    programs: [...new Set(programs)],
    argv: [...launchPrefix(variant, cluster, input.nodes, input)(spec), ...argv],
    env: runtime ? containerEnvironment(runtime, env, names) : env,
    directory: input.jobDir,
    file: basename(path),
    srun: optionWords({ ...container, ...srunOptions }),
    cache: optionCacheOf(input.jobDir),
  };
}
