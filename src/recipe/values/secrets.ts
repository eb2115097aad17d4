/** Names of variables whose values are nobody else's business; not `MAX_TOKENS` or `TOKENIZER_MODE`. */
const SECRET = /(^|_)(TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|ACCESS_KEY(_ID)?|PRIVATE_KEY|CREDENTIALS?)$/i;

/** Whether a recipe, or anything in it, sets what looks like a password: then its copies are for its owner alone. */
export function holdsSecrets(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(
    ([name, inner]) =>
      (SECRET.test(name) && typeof inner === 'string' && inner !== '') || holdsSecrets(inner),
  );
}
