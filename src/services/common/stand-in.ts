import type { ProbeSpec, ProcessSpec } from '../../messages/spec/process-spec.ts';
import type { RuntimeContext } from '../../model/kinds.ts';

type HttpProbe = Extract<ProbeSpec, { kind: 'http' }>;

/** The first words of what a stand-in says. */
const SAYS = 'srtctl: stand-in for ';

/**
 * In a simulated job a service runs where its node has the program, and has a stand-in elsewhere, which is ready as the
 * real one would be and does nothing. `module`: what
 * Python runs in a script that is the command.
 */
export function withStandIns(
  specs: readonly ProcessSpec[],
  runtime: RuntimeContext,
  module: string | undefined,
): ProcessSpec[] {
  const probes = specs.flatMap(({ probe }) => (probe.kind === 'http' ? [probe] : []));
  return specs.map((spec) => {
    const asked = probes.filter(({ host, port }) => host === runtime.address(spec.node) && isOf(spec, port));
    const what = {
      host: runtime.address(spec.node),
      ports: [...new Set(Object.values(spec.ports))],
      ...(spec.probe.kind === 'file' ? { file: spec.probe.path } : {}),
      answers: answersOf(asked),
      ...(spec.terminates ? { ends: true } : {}),
    };
    const shell = spec.argv[0] === 'bash' && spec.argv[3] === 'bash' ? 4 : 0;
    return {
      ...spec,
      argv: [
        `${runtime.distDir}/mock-bin/service-stand-in`,
        JSON.stringify(what),
        String(shell),
        ...spec.argv,
      ],
      env: { ...spec.env, ...(module === undefined ? {} : { SRTCTL_PROGRAM: module }) },
      probe:
        spec.probe.kind === 'log' ? { ...spec.probe, pattern: orStandIn(spec.probe.pattern) } : spec.probe,
    };
  });
}

const isOf = ({ ports }: ProcessSpec, port: number): boolean => Object.values(ports).includes(port);

/** The flags of a pattern are at its begin. */
const orStandIn = (pattern: string): string => {
  const [flags = ''] = /^\(\?[a-z]+\)/.exec(pattern) ?? [];
  return `${flags}^${SAYS}|${pattern.slice(flags.length)}`;
};

/** Answers with which these probes pass. */
function answersOf(probes: readonly HttpProbe[]): Record<string, { status: number; body: unknown }> {
  const answers: Record<string, { status: number; body: unknown }> = {};
  for (const { path, status = 200, expect = [] } of probes) {
    const entries = probes.flatMap((other) => (other.path === path ? (other.expect ?? []) : []));
    const [first] = expect;
    const list = entries.map(({ where }) => where);
    answers[path] = {
      status,
      body: first ? [...first.at].reverse().reduce<unknown>((inner, key) => ({ [key]: inner }), list) : {},
    };
  }
  return answers;
}
