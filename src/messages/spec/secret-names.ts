/** Names of variables with secret values; not `MAX_TOKENS` or `TOKENIZER_MODE`. */
const SECRET = /(^|_)(TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|ACCESS_KEY(_ID)?|PRIVATE_KEY|CREDENTIALS?)$/i;

/** Whether the value of a variable with this name is a secret. */
export const isSecretName = (name: string): boolean => SECRET.test(name);
