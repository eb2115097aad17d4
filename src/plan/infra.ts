import { recipesOf } from '../model/recipe-of.ts';
import type { Recipe } from '../recipe/schema/schema.ts';

/**
 * Lines of a nats-server's configuration for messages of up to so many MB. nats-server refuses a max_payload
 * above max_pending, whose default is 64 MB.
 */
export const natsPayload = (mb: number): string =>
  `max_payload: ${mb}MB${mb > 32 ? `\nmax_pending: ${2 * mb}MB` : ''}`;

/** The largest message of the job's NATS in MB, where a recipe says it. */
export function natsPayloadOf({ infra, services }: Pick<Recipe, 'infra' | 'services'>): number | null {
  const declared = services?.find(({ type, enabled }) => type === 'nats' && enabled)?.options.max_payload_mb;
  return typeof declared === 'number' ? declared : (infra.nats_max_payload_mb ?? null);
}

export interface NatsLogin {
  readonly user: string;
  readonly password: string;
}

/** Text that nats-server's configuration can contain unchanged: bcrypt hashes begin with `$2`. */
const PLAIN = /^(?!\$2)[\x20-\x7e]+$/;

/**
 * Dynamo's NATS logins in a recipe. The job's nats-server accepts them, because recipes that were written for
 * another nats-server contain them.
 */
export function natsLogins(recipes: readonly Recipe[]): NatsLogin[] {
  const logins = new Map<string, NatsLogin>();
  for (const { environment, backend, frontend } of recipes.flatMap(recipesOf)) {
    const modes = [backend.prefill_environment, backend.decode_environment, backend.aggregated_environment];
    for (const own of [{}, ...modes, frontend.env]) {
      const { NATS_AUTH_USERNAME: user, NATS_AUTH_PASSWORD: password } = { ...environment, ...own };
      if (user === undefined || password === undefined || logins.has(user)) continue;
      if (PLAIN.test(user) && PLAIN.test(password)) logins.set(user, { user, password });
    }
  }
  return [...logins.values()];
}
