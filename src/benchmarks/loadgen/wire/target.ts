import { lookup } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { connect, isIP } from 'node:net';
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';
import { reasonOf } from './reasons.ts';

/** Where requests go, with what all connections to it share. */
export interface Target {
  /** An address, so that no request waits for a look-up. */
  readonly host: string;
  readonly port: number;
  /** For the Host header. */
  readonly authority: string;
  /** Path that the URL begins with, without the last slash. */
  readonly basePath: string;
  readonly tls: { readonly secureContext: SecureContext; readonly servername?: string } | null;
}

/** Where Linux distributions keep the certificates that the system trusts. */
const SYSTEM_CAS = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

/**
 * @param caFile certificates (PEM) of further authorities, besides the system's
 * @throws Error when the name has no address, or the file cannot be read
 */
export async function targetOf(url: string, caFile: string | null): Promise<Target> {
  const { protocol, hostname, port, host: authority, pathname } = new URL(url);
  const isTls = protocol === 'https:';
  const name = hostname.replace(/^\[(.*)\]$/, '$1');
  const portNumber = port === '' ? (isTls ? 443 : 80) : Number(port);
  const basePath = pathname.replace(/\/+$/, '');
  return {
    host: isIP(name) ? name : await addressOf(name, portNumber),
    port: portNumber,
    authority,
    basePath,
    tls: isTls
      ? { secureContext: await contextOf(caFile), ...(isIP(name) ? {} : { servername: name }) }
      : null,
  };
}

/** The first address of the name that accepts a connection, because a server may listen on one of several alone. */
async function addressOf(name: string, port: number): Promise<string> {
  const found = await lookup(name, { all: true }).catch((error: unknown) => {
    throw new Error(`${name}: ${reasonOf(error, 'connecting')}`, { cause: error });
  });
  const addresses = found.map(({ address }) => address);
  const [first = name, ...others] = addresses;
  if (others.length === 0) return first;
  for (const address of addresses) if (await accepts(address, port)) return address;
  return first;
}

const ACCEPTS_WITHIN_MS = 5_000;

const accepts = (host: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host, port, timeout: ACCEPTS_WITHIN_MS });
    const end = (isOpen: boolean) => () => {
      socket.destroy();
      resolve(isOpen);
    };
    socket.once('connect', end(true)).once('error', end(false)).once('timeout', end(false));
  });

/** Made once, because reading all authorities takes longer than a handshake. */
async function contextOf(caFile: string | null): Promise<SecureContext> {
  const own = caFile === null ? [] : [await certificatesIn(caFile)];
  return createSecureContext({ ca: [...(await systemCas()), ...own] });
}

async function certificatesIn(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new Error(`the file of certificates ${file} cannot be read (${error.code})`, { cause: error });
  });
  if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
  throw new Error(`the file of certificates ${file} has no certificate (PEM)`);
}

/** `SSL_CERT_FILE`, as OpenSSL reads it, or the distribution's file; Node's own list where neither is. */
async function systemCas(): Promise<readonly string[]> {
  const { SSL_CERT_FILE: given } = process.env;
  for (const file of given ? [given] : SYSTEM_CAS) {
    const text = await readFile(file, 'utf8').catch(() => '');
    if (text !== '') return [text];
  }
  return rootCertificates;
}
