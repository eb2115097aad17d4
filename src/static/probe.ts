import type { HttpProbe, JsonCount, ProbeSpec } from '../messages/spec/probe-spec.ts';
import type { Markers } from './markers.ts';

/** The bash command that succeeds when a process is ready. */
export function probeCommand(probe: ProbeSpec, markers: Markers, logFile = ''): string {
  const { words } = markers;
  switch (probe.kind) {
    case 'running':
      return 'true';
    case 'tcp':
      return `tcp_ready ${words([probe.host, String(probe.port)])}`;
    case 'file':
      return `[ -s ${markers.word(probe.path)} ]`;
    case 'log':
      return `grep -qP -e ${words([probe.pattern, logFile])}`;
    case 'http': {
      const { older, expect: _, ...place } = probe;
      const command = httpCommand(probe, markers);
      if (!older) return command;
      return `${command} || { [ "$http_status" = 404 ] && ${httpCommand({ ...place, ...older }, markers)}; }`;
    }
  }
}

const httpCommand = (probe: HttpProbe, { word, words }: Markers): string =>
  ['http_ready', words([probe.host, String(probe.port), probe.path]), ...beyondStatus(probe, word)].join(' ');

/** The checks after a 2xx status; trailing empty arguments are left out. */
function beyondStatus(
  { accept, expect = [], steps: further = [] }: HttpProbe,
  word: Markers['word'],
): string[] {
  const accepted = accept ? `${accept.status} ${member(accept.at.at(-1) ?? '', accept.is)}` : '';
  const counts = expect.length > 0 ? JSON.stringify(expect) : '';
  const steps = further.length > 0 ? JSON.stringify(further) : '';
  if (counts !== '' || steps !== '')
    return [accepted, counts, steps, ...expect.flatMap(asPatterns)].map(word);
  return accepted === '' ? [] : [word(accepted)];
}

/**
 * For nodes without python3: least and most (0: all), the number of patterns, and the patterns that an object
 * of the answer must contain. Lines of a pattern are alternatives.
 */
function asPatterns(wanted: JsonCount): string[] {
  const { count, least = count, most = count, where, address } = wanted;
  if (address?.field.length === 0) return bareAddresses(address.among, least < count);
  const patterns = Object.entries(where).map(([key, value]) =>
    [value]
      .flat()
      .map((each) => member(key, each))
      .join('\n'),
  );
  const each = address ? address.each : 1;
  return [String(least * (each ?? 1)), String(most * (each ?? 0)), String(patterns.length), ...patterns];
}

/** Bash sees a list of bare addresses as one line: it must contain each address, or any of them. */
const bareAddresses = (among: readonly string[], any: boolean): string[] =>
  (any ? [among] : among.map((address) => [address])).flatMap((group) => [
    ...['1', '0', '1'],
    group.flatMap((address) => [`${address}"`, `${address}/`, `${address}@`]).join('\n'),
  ]);

const member = (key: string, value: unknown): string => `${JSON.stringify(key)}:${JSON.stringify(value)}`;
