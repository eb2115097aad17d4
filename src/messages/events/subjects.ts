/** Every subject on the bus. Nothing else in srtctl spells one out. */

/**
 * A node or process name as one subject token: a dot or a wildcard in a host name would split or widen
 * a subject. Everything but letters, digits, `_` and `-` becomes %XX of its UTF-8 bytes, so that two
 * names never share a token.
 */
export function toToken(name: string): string {
  let token = '';
  for (const byte of Buffer.from(name, 'utf8')) {
    const char = String.fromCharCode(byte);
    token += /[A-Za-z0-9_-]/.test(char) ? char : `%${byte.toString(16).padStart(2, '0')}`;
  }
  return token;
}

/** The name that `toToken` was given; a token that it never makes (anybody can send one) is its own name. */
export function fromToken(token: string): string {
  try {
    return decodeURIComponent(token);
  } catch {
    return token;
  }
}

const nodeToken = (node: string) => (node === '*' ? '*' : toToken(node));

/** The subjects of one job. Give `*` as a node, process or point to listen to all of them. */
export function subjectsOf(job: string) {
  const root = `srt.${toToken(job)}`;
  return {
    root,
    everything: `${root}.>`,
    hello: (node: string) => `${root}.agent.${nodeToken(node)}.hello`,
    heartbeat: (node: string) => `${root}.agent.${nodeToken(node)}.heartbeat`,
    desired: (node: string) => `${root}.agent.${nodeToken(node)}.desired`,
    /** Asks an agent for its clock, and tells everybody how far that is from the coordinator's. */
    clock: (node: string) => `${root}.agent.${nodeToken(node)}.clock`,
    clockOffset: (node: string) => `${root}.agent.${nodeToken(node)}.clock-offset`,
    allDesired: `${root}.all.desired`,
    allLease: `${root}.all.lease`,
    all: `${root}.all.*`,
    processTransition: (node: string, process: string) =>
      `${root}.process.${nodeToken(node)}.${nodeToken(process)}.transition`,
    processMetrics: (node: string, process: string) =>
      `${root}.process.${nodeToken(node)}.${nodeToken(process)}.metrics`,
    /** All that one agent may publish about its processes. */
    processesOf: (node: string) => `${root}.process.${nodeToken(node)}.>`,
    agentTransition: (node: string) => `${root}.agent.${nodeToken(node)}.transition`,
    pointTransition: (ordinal: number | '*') => `${root}.point.${ordinal}.transition`,
    pointProgress: (ordinal: number | '*') => `${root}.point.${ordinal}.progress`,
    pointResult: (ordinal: number | '*') => `${root}.point.${ordinal}.result`,
    /** All that is said of points. */
    points: `${root}.point.>`,
    sweepTransition: `${root}.sweep.transition`,
    sweepProgress: `${root}.sweep.progress`,
    log: (node: string, process: string) => `${root}.log.${nodeToken(node)}.${nodeToken(process)}`,
    /** Asks the coordinator to stop the job. */
    cancel: `${root}.control.cancel`,
  } as const;
}
export type Subjects = ReturnType<typeof subjectsOf>;

/** Subjects whose messages the JetStream stream keeps, so that a viewer who comes late sees all from the start. */
export function keptSubjects(job: string): string[] {
  const s = subjectsOf(job);
  return [
    s.processTransition('*', '*'),
    s.agentTransition('*'),
    s.clockOffset('*'),
    s.pointTransition('*'),
    s.pointResult('*'),
    s.sweepTransition,
    s.sweepProgress,
  ];
}

/** Name of the stream of a job (JetStream names may not hold `.`, `*`, `>` or spaces). */
export const streamOf = (job: string): string => `SRT_${toToken(job).replaceAll('%', '_')}`;

/** The system account's notice that a client's connection is gone, some ms after its process was killed. */
export const SYSTEM_DISCONNECT = '$SYS.ACCOUNT.*.DISCONNECT';
