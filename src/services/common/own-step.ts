import type { ProcessSpec } from '../../messages/spec/process-spec.ts';
import type { RuntimeContext } from '../../model/kinds.ts';
import type { Service } from '../../recipe/schema/services.ts';

type Own = Pick<Service, 'srun_options' | 'cpus_per_task' | 'cpu_bind'>;

/** Settings of the srun that starts a service's container. */
export const OF_SRUN = [
  'cpus_per_task',
  'cpu_bind',
  'srun_options',
] as const satisfies readonly (keyof Own)[];

/**
 * Options of srun that a service cannot have: where its agent runs, and with what the agent shares its node.
 * srun refuses `exclusive` beside `overlap`.
 */
export const FIXED_OPTIONS: ReadonlySet<string> = new Set([
  ...['nodes', 'ntasks', 'ntasks-per-node', 'nodelist', 'het-group', 'job-name', 'output', 'input'],
  ...['overlap', 'exclusive', 'exact', 'no-kill', 'wait', 'kill-on-bad-exit', 'mpi'],
]);

/** The options of a service beside those of the recipe; undefined where it has none. */
function optionsOf({
  srun_options: options,
  cpus_per_task: cpus,
  cpu_bind: bind,
}: Own): Record<string, string> | undefined {
  const own = {
    ...Object.fromEntries(Object.entries(options).filter(([name]) => !FIXED_OPTIONS.has(name))),
    ...(cpus == null ? {} : { 'cpus-per-task': String(cpus) }),
    ...(bind == null ? {} : { 'cpu-bind': bind }),
  };
  return Object.keys(own).length === 0 ? undefined : own;
}

/**
 * With pyxis an srun starts the container of a service with options of its own, and its agent there. Without pyxis a
 * service has no srun.
 */
export function inOwnStep(
  spec: ProcessSpec,
  { containers, containerPerProcess }: Pick<RuntimeContext, 'containers' | 'containerPerProcess'>,
  service: Own,
): ProcessSpec {
  const options = optionsOf(service);
  if (options === undefined || spec.image === null || !containers || containerPerProcess) return spec;
  return { ...spec, srunOptions: options };
}
