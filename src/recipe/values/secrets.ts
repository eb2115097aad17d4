/** Names of variables with secret values; not `MAX_TOKENS` or `TOKENIZER_MODE`. */
const SECRET = /(^|_)(TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|ACCESS_KEY(_ID)?|PRIVATE_KEY|CREDENTIALS?)$/i;

/**
 * Whether a recipe, or any part of it, sets a variable that looks like a password; only the owner may then
 * read its copies.
 */
export function holdsSecrets(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(
    ([name, inner]) =>
      (SECRET.test(name) && typeof inner === 'string' && inner !== '') || holdsSecrets(inner),
  );
}
