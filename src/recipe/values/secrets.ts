import { isSecretName } from '../../messages/spec/secret-names.ts';

/**
 * Whether a recipe, or any part of it, sets a variable that looks like a password; only the owner may then
 * read its copies.
 */
export function holdsSecrets(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(
    ([name, inner]) =>
      (isSecretName(name) && typeof inner === 'string' && inner !== '') || holdsSecrets(inner),
  );
}
