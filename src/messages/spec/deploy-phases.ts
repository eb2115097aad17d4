/**
 * When a process starts in the deployment of a point, lowest first. Processes of a phase start together; the
 * next phase starts when all of this one are ready (a step: has exited with 0).
 */
export const deployPhases = [
  'infra',
  'fetch',
  'step',
  'install',
  'before_workers',
  'worker',
  'frontend',
  'proxy',
  'after_frontend',
  'benchmark',
] as const;
export type DeployPhase = (typeof deployPhases)[number];
