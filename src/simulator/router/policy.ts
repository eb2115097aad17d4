/** A worker that requests can be sent to. */
export interface Target {
  readonly url: URL;
  /** Requests in flight through this router. */
  load: number;
}

export type Policy = <T extends Target>(targets: readonly T[], prefix: string) => T | undefined;

/**
 * Requests with the same prefix go to the same worker for its cache, unless that worker has this many more
 * requests than the least loaded one.
 */
const MOST_IMBALANCE = 8;
/** How many prefixes cache_aware remembers; the oldest are dropped first. */
const MOST_PREFIXES = 10_000;

/** Router policies by their names on the command line; an unknown policy is round robin. */
export function policyOf(name: string | undefined): Policy {
  switch (name) {
    case 'random':
      return anyOf;
    case 'power_of_two':
      return (targets) => {
        const [one, other] = [anyOf(targets, ''), anyOf(targets, '')];
        return one && other && other.load < one.load ? other : one;
      };
    case 'least_load':
      return leastLoaded();
    case 'cache_aware':
    case 'kv':
      return cacheAware();
    default:
      return inTurn();
  }
}

const anyOf: Policy = (targets) => targets[Math.floor(Math.random() * targets.length)];

function inTurn(): Policy {
  let turn = 0;
  return (targets) => targets[turn++ % targets.length];
}

/** The least loaded worker; equals take turns. */
function leastLoaded(): Policy {
  let turn = 0;
  return <T extends Target>(targets: readonly T[]) => {
    const least = Math.min(...targets.map((target) => target.load));
    const idlest = targets.filter((target) => target.load === least);
    return idlest[turn++ % idlest.length];
  };
}

/** Sends a prompt to the worker that served its prefix; a new prefix goes to the least loaded worker. */
function cacheAware(): Policy {
  const homes = new Map<string, URL>();
  const idlestOf = leastLoaded();
  return (targets, prefix) => {
    const url = homes.get(prefix);
    const home = url && targets.find((target) => target.url === url);
    const least = Math.min(...targets.map((target) => target.load));
    if (home && home.load - least <= MOST_IMBALANCE) return home;
    const idlest = idlestOf(targets, prefix);
    if (!idlest) return undefined;
    homes.set(prefix, idlest.url);
    const [oldest] = homes.keys();
    if (oldest !== undefined && homes.size > MOST_PREFIXES) homes.delete(oldest);
    return idlest;
  };
}
