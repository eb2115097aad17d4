import { endingProcess } from '../model/ending-process.ts';
import type { JobContext, PlannedHostSetup, SweepPlan } from '../model/kinds.ts';
import { shellQuote } from '../os/quote.ts';
import { fillNode } from '../recipe/values/fill-node.ts';
import { fillAll } from '../recipe/values/placeholders.ts';
import type { LoadedVariant } from '../recipe/variant.ts';
import { valuesOf } from './deployment.ts';

/** Begins each line of a log that shows the command which runs next. */
export const COMMAND_MARK = '+ ';

interface Allocated {
  readonly sweep: Pick<SweepPlan, 'groups' | 'point'>;
  /** The first nodes of the allocation, which its points use. */
  readonly needed: number;
  /** The nodes after them that replace lost ones. */
  readonly spare: number;
}

/**
 * The commands of `host_setup`, one process for each node. All points of an allocation have the same ones
 * (allocations.ts). A spare node may become a node of workers, so it counts as one.
 */
export function planHostSetup(
  variant: LoadedVariant,
  job: JobContext,
  { sweep, needed, spare }: Allocated,
): PlannedHostSetup | null {
  const [{ recipe } = { recipe: undefined }] = variant.points;
  const setup = recipe?.host_setup;
  if (!recipe || !setup || setup.commands.length + setup.teardown.length === 0) return null;
  const firsts = sweep.groups.flatMap(([ordinal]) => sweep.point(ordinal ?? -1) ?? []);
  const [first] = firsts;
  if (!first) return null;
  const workers = new Set([
    ...firsts.flatMap(({ endpoints }) => endpoints.flatMap(({ nodes }) => nodes)),
    ...job.nodes.slice(needed, needed + spare),
  ]);
  const nodes = setup.nodes === 'all' ? job.nodes : job.nodes.filter((node) => workers.has(node));
  const values = valuesOf(recipe, job.forRecipe(recipe), first.roles, variant.name);
  const environment = fillAll(recipe.environment, values);
  const processOf =
    (phase: 'setup' | 'teardown', commands: readonly string[]) => (node: string, at: number) =>
      endingProcess({
        id: `host-${phase}-${at}`,
        role: 'step',
        phase: 'step',
        node,
        argv: ['bash', '-c', scriptOf(commands)],
        env: {
          SRTCTL_OUTPUT_DIR: job.jobDir,
          ...(job.srtctlRoot === null ? {} : { SRTCTL_SOURCE_DIR: job.srtctlRoot }),
          ...fillNode(environment, job, node),
          // An agent outside of the container has a name of its own there.
          SRTCTL_NODE: node,
        },
        logFile: `${job.logDir}/host_${phase}_${node}.out`,
        image: null,
        onHost: true,
        // Not the point's: the coordinator waits for each node, and then decides.
        critical: false,
        endTimeoutMs: setup.timeout_seconds * 1_000,
      });
  const onNodes = (phase: 'setup' | 'teardown', commands: readonly string[]) =>
    commands.length === 0 ? [] : nodes.map(processOf(phase, commands));
  return {
    commands: onNodes('setup', setup.commands),
    teardown: onNodes('teardown', setup.teardown),
    ignoresFailure: setup.ignore_failure,
  };
}

/** One shell runs the commands in order, each after the one before has succeeded, and shows each of them. */
const scriptOf = (commands: readonly string[]): string =>
  commands
    .map((command) => {
      const [line = ''] = command.trim().split('\n');
      return `echo ${shellQuote(`${COMMAND_MARK}${line}`)} && {\n${command.trimEnd()}\n}`;
    })
    .join(' &&\n');
