import { type Finding, merged } from './finding.ts';
import { LOGIN_CHECKS } from './login-checks.ts';
import { checkNodes } from './node-step.ts';
import { idleNodes, namedNodes } from './nodes.ts';
import { checkOptionsHere, checkOptionsOn } from './option-checks.ts';
import { SLURM_CHECKS } from './slurm-checks.ts';
import type { Check, World } from './world.ts';

export interface DoctorOptions {
  /** Lists of nodes to check. */
  readonly nodes: readonly string[];
  readonly all: boolean;
  /** How long the check's job may wait for its nodes, s. */
  readonly waitS: number;
}

/** All findings, in the order of the checks. */
export async function examine(world: World, { all, nodes: lists, waitS }: DoctorOptions): Promise<Finding[]> {
  const login = [...(await runChecks(LOGIN_CHECKS, 'login', world)), ...(await checkOptionsHere(world))];
  const [first, ...others] = SLURM_CHECKS;
  const slurm = await runChecks([first], 'slurm', world);
  if (slurm.some(({ status }) => status !== 'ok')) return [...login, ...slurm];
  const further = await runChecks(others, 'slurm', world);
  const nodes = all ? await idleNodes(world) : await namedNodes(world, lists);
  const onNodes = await checkNodes(world, nodes.nodes, waitS);
  const options = await checkOptionsOn(world, nodes.nodes, waitS);
  return [...login, ...slurm, ...further, ...merged([...nodes.findings, ...onNodes]), ...options];
}

async function runChecks(checks: readonly Check[], where: string, world: World): Promise<Finding[]> {
  const found = await Promise.all(
    checks.map(async ({ id, run }) => (await run(world)).map((each) => ({ check: id, where, ...each }))),
  );
  return found.flat();
}
