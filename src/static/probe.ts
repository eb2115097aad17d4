import type { JsonCount, ProbeSpec } from '../messages/process-spec.ts';
import type { Markers } from './markers.ts';

/** The command of bash that succeeds when a process is ready. */
export function probeCommand(probe: ProbeSpec, { word, words }: Markers): string {
  switch (probe.kind) {
    case 'running':
      return 'true';
    case 'tcp':
      return `tcp_ready ${words([probe.host, String(probe.port)])}`;
    case 'http':
      return `http_ready ${words([probe.host, String(probe.port), probe.path])}${(probe.expect ?? []).length > 0 ? ` ${word(JSON.stringify(probe.expect))} ${words((probe.expect ?? []).flatMap(asPatterns))}` : ''}`;
  }
}

/** For nodes without python3: how many, the number of patterns, and what an object of the answer has to contain. */
function asPatterns({ atLeast, where }: JsonCount): string[] {
  const patterns = Object.entries(where).map(
    ([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`,
  );
  return [String(atLeast), String(patterns.length), ...patterns];
}
