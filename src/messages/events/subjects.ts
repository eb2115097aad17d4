import { type EventKind, keptMessages } from './events.ts';

/**
 * Every subject on the bus, except the patterns of kept messages. No other file of srtctl contains a subject's text.
 */

/**
 * A node or process name as one subject token, because a dot or a wildcard in a host name would split or
 * widen a subject. Everything but letters, digits, `_` and `-` becomes %XX of its UTF-8 bytes, so that two
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

/** The name of a token. Returns a token that `toToken` never makes unchanged, because any client can send one. */
export function fromToken(token: string): string {
  try {
    return decodeURIComponent(token);
  } catch {
    return token;
  }
}

const nodeToken = (node: string) => (node === '*' ? '*' : toToken(node));

const patternOf = (kind: EventKind): string => {
  const message = keptMessages.get(kind);
  if (!message) throw new TypeError(`${kind} is no kept message`);
  return message.subject;
};

/** The subjects of one job. Pass `*` as a node, process or point to listen to all of them. */
export function subjectsOf(job: string) {
  const root = `srt.${toToken(job)}`;
  return {
    root,
    everything: `${root}.>`,
    hello: (node: string) => `${root}.agent.${nodeToken(node)}.hello`,
    heartbeat: (node: string) => `${root}.agent.${nodeToken(node)}.heartbeat`,
    desired: (node: string) => `${root}.agent.${nodeToken(node)}.desired`,
    /** Has an agent send a signal to a process of an experiment. */
    kill: (node: string) => `${root}.agent.${nodeToken(node)}.kill`,
    /** Has an agent run a command on its node, for an operator. */
    exec: (node: string) => `${root}.agent.${nodeToken(node)}.exec`,
    /** Asks an agent for its clock. */
    clock: (node: string) => `${root}.agent.${nodeToken(node)}.clock`,
    /** The subject of a kept message with these fields; a missing field becomes `*`, which matches all values. */
    kept: (kind: EventKind, fields: Readonly<Record<string, unknown>> = {}) =>
      `${root}.${patternOf(kind).replaceAll(/\{(\w+)\}/g, (_, field: string) => nodeToken(String(fields[field] ?? '*')))}`,
    allDesired: `${root}.all.desired`,
    allLease: `${root}.all.lease`,
    all: `${root}.all.*`,
    telemetrySeries: (node: string) => `${root}.telemetry.${nodeToken(node)}.series`,
    telemetrySamples: (node: string) => `${root}.telemetry.${nodeToken(node)}.samples`,
    /** Has an agent send all of its series. */
    telemetryDescribe: (node: string) => `${root}.telemetry.${nodeToken(node)}.describe`,
    /** Asks an agent for the power of its node. */
    telemetryPower: (node: string) => `${root}.telemetry.${nodeToken(node)}.power`,
    /** Has all agents close and pack their logs of telemetry. */
    telemetryPack: `${root}.all.telemetry-pack`,
    /** All subjects on which one agent may publish about its processes. */
    processesOf: (node: string) => `${root}.process.${nodeToken(node)}.>`,
    pointProgress: (ordinal: number | '*') => `${root}.point.${ordinal}.progress`,
    /** All subjects of points. */
    points: `${root}.point.>`,
    log: (node: string, process: string) => `${root}.log.${nodeToken(node)}.${nodeToken(process)}`,
    /** Asks the coordinator to stop the job. */
    cancel: `${root}.control.cancel`,
  } as const;
}
export type Subjects = ReturnType<typeof subjectsOf>;

/** Subjects that the JetStream stream keeps, so that a late viewer sees everything from the start. */
export const keptSubjects = (job: string): string[] =>
  [...keptMessages.keys()].map((kind) => subjectsOf(job).kept(kind));

/** Subjects that a reader of the bus may watch: no request, no desired state, no log. */
export function publicSubjects(job: string): string[] {
  const { heartbeat, telemetrySeries, telemetrySamples, pointProgress, allLease } = subjectsOf(job);
  return [
    ...keptSubjects(job),
    ...[heartbeat('*'), telemetrySeries('*'), telemetrySamples('*'), pointProgress('*'), allLease],
  ];
}

/** Name of the stream of a job (JetStream names may not contain `.`, `*`, `>` or spaces). */
export const streamOf = (job: string): string => `SRT_${toToken(job).replaceAll('%', '_')}`;

/** The system account's notice that a client's connection is gone, some ms after its process was killed. */
export const SYSTEM_DISCONNECT = '$SYS.ACCOUNT.*.DISCONNECT';
