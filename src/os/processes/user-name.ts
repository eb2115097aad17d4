import { outputOf } from './output-of.ts';

/** A directory service (LDAP, SSSD) may be asked, ms. */
const TIMEOUT_MS = 5_000;

/** The name of a user; the number of a user without one. */
export async function userName(uid: number): Promise<string> {
  const said = await outputOf('id', ['-nu', '--', String(uid)], { timeoutMs: TIMEOUT_MS }).catch(() => '');
  return said.trim() || String(uid);
}
