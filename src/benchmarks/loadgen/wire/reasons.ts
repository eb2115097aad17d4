/** What a server had done when the connection failed. */
export type Progress = 'connecting' | 'asked' | 'answering';

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused: no server listens there',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no route to the network',
  ENOTFOUND: 'the name of the host is unknown',
  EMFILE: 'too many open files in the load generator (ulimit -n)',
  EADDRNOTAVAIL: 'no local port is free (net.ipv4.ip_local_port_range)',
  ETIMEDOUT: 'the host does not answer',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'the certificate is signed by itself: trust it with --ca-file (srtctl bench)',
  SELF_SIGNED_CERT_IN_CHAIN: 'its authority is not known here: trust it with --ca-file (srtctl bench)',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its authority is not known here: trust it with --ca-file (srtctl bench)',
};
const BROKEN: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE']);

/** Why a connection failed, in words, with the error's code. */
export function reasonOf(error: unknown, progress: Progress): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as NodeJS.ErrnoException;
  if (typeof code !== 'string') return error.message;
  if (BROKEN.has(code)) return `${code}: the server reset the connection ${WHEN[progress]}`;
  const words = WORDS[code];
  if (words !== undefined) return `${code}: ${words}`;
  return error.message.includes(code) ? error.message : `${code}: ${error.message}`;
}

export const closed = (progress: Progress): string => `the server closed the connection ${WHEN[progress]}`;

const WHEN: Readonly<Record<Progress, string>> = {
  connecting: 'before the request was sent',
  asked: 'before it answered',
  answering: 'in the middle of the answer',
};
