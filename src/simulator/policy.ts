/** A worker that requests can be sent to. */
export interface Target {
  readonly url: URL;
  /** Requests in flight through this router. */
  load: number;
}

export type Policy = <T extends Target>(targets: readonly T[], prefix: string) => T | undefined;

const least = <T extends Target>(targets: readonly T[]): T | undefined =>
  targets.reduce<T | undefined>(
    (best, each) => (best === undefined || each.load < best.load ? each : best),
    undefined,
  );

/** Same prefix, same worker, so that its cache serves; but not when that worker is much busier than the idlest. */
const MOST_IMBALANCE = 8;

/** Router policies by their names on the command line; unknown ones spread in turn. */
export function policyOf(name: string | undefined): Policy {
  let turn = 0;
  const inTurn: Policy = (targets) => targets[turn++ % targets.length];
  switch (name) {
    case 'random':
      return (targets) => targets[Math.floor(Math.random() * targets.length)];
    case 'power_of_two':
      return (targets) => {
        const pick = () => targets[Math.floor(Math.random() * targets.length)];
        return least([pick(), pick()].filter((target) => target !== undefined));
      };
    case 'cache_aware':
    case 'kv':
      return (targets, prefix) => {
        let hash = 0;
        for (let at = 0; at < prefix.length; at++) hash = (Math.imul(hash, 31) + prefix.charCodeAt(at)) >>> 0;
        const home = targets[hash % targets.length];
        const idlest = least(targets);
        return home && idlest && home.load - idlest.load > MOST_IMBALANCE ? idlest : home;
      };
    default:
      return inTurn;
  }
}
