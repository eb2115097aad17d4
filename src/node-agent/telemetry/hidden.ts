/** What stands in place of a label's value that may be a secret. */
export const HIDDEN = '[hidden]';

/** Names that say that the value is secret. */
const SECRET_NAME = /token|secret|passw|credential|api_?key|private_?key|access_?key|authorization|cookie/i;
/** Counts of tokens are what engines measure, and no secret. */
const HARMLESS_NAME = /^(?:token_(?:type|kind|id)|.*_tokens?|tokens?_.*)$/i;
/**
 * Forms of well-known keys: Hugging Face, OpenAI, GitHub, GitLab, AWS, NVIDIA, Slack, Google, nkey seeds, JSON web tokens,
 * PEM, and a user with a password in a URL.
 */
const SECRET_FORM =
  /\bhf_\w{20}|\bsk-[\w-]{20}|\bgh[opsur]_\w{20}|\bgithub_pat_\w{20}|\bglpat-[\w-]{20}|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bnvapi-[\w-]{20}|\bxox[abprs]-[\w-]{10}|\bAIza[\w-]{30}|\bS[UAOCN][A-Z2-7]{56}\b|\beyJ[\w-]{8,}\.[\w-]{8,}|-----BEGIN|:\/\/[^/\s:@]*:[^/\s@]+@/;
/** An environment variable that has one of these in its name may hold a secret. */
const SECRET_VARIABLE = /TOKEN|SECRET|PASSW|CREDENTIAL|KEY|AUTH/i;
const LEAST_SECRET = 6;
/** Longer values are cut: some engines state their whole configuration in a label. */
const MOST_VALUE = 500;

/** Decides which labels may be published, given the environment of the process that states them. */
export class LabelCheck {
  readonly #secrets: readonly string[];
  readonly #variables: ReadonlySet<string>;

  constructor(environment: Readonly<Record<string, string | undefined>>) {
    this.#variables = new Set(Object.keys(environment));
    this.#secrets = Object.entries(environment).flatMap(([name, value = '']) =>
      SECRET_VARIABLE.test(name) && value.length >= LEAST_SECRET ? [value] : [],
    );
  }

  /**
   * The labels without secrets: a value that looks like one, is one of the environment, or names a variable of the
   * environment, is replaced by HIDDEN; a label whose own name is such a variable is left out.
   */
  cleared(labels: Readonly<Record<string, string>>): Record<string, string> {
    const all = Object.entries(labels).filter(([name]) => !this.#variables.has(name));
    return Object.fromEntries(
      all.map(([name, value]) => [name, this.#isSecret(name, value) ? HIDDEN : value.slice(0, MOST_VALUE)]),
    );
  }

  /** A metric whose name contains a secret value is left out. */
  hides(name: string): boolean {
    return this.#variables.has(name) || this.#secrets.some((secret) => name.includes(secret));
  }

  #isSecret(name: string, value: string): boolean {
    if (SECRET_NAME.test(name) && !HARMLESS_NAME.test(name)) return true;
    if (SECRET_FORM.test(value) || this.#secrets.some((secret) => value.includes(secret))) return true;
    const words = value.match(/[A-Za-z_]\w{2,}/g);
    return words?.some((word) => word === word.toUpperCase() && this.#variables.has(word)) ?? false;
  }
}
