import type { Validity } from '../../../messages/job-directory/serving-result.ts';
import { DEFAULT_LIMITS, type LimitName, type ValiditySettings } from '../../../recipe/schema/validity.ts';

/** Every limit; null: none. */
export type Limits = Readonly<Record<LimitName, number | null>>;

const names = Object.keys(DEFAULT_LIMITS) as LimitName[];

/** Limits that a tenth of the median ITL raises, because slower streams are measured as well by a slower client. */
const BY_ITL: readonly LimitName[] = ['send_lag_ms', 'loop_delay_ms'];

/** The limits of a run. */
export function limitsOf(settings: ValiditySettings, medianItlMs: number): Limits {
  const limitOf = (name: LimitName): number | null => {
    const given = settings[name];
    if (given === false) return null;
    if (given != null) return given;
    return BY_ITL.includes(name) ? Math.max(DEFAULT_LIMITS[name], medianItlMs / 10) : DEFAULT_LIMITS[name];
  };
  return Object.fromEntries(names.map((name) => [name, limitOf(name)])) as Limits;
}

/** The limits that settings change. */
export function changedLimits(settings: ValiditySettings): Validity['changed'] {
  return names.flatMap((what) => {
    const given = settings[what];
    if (given == null || given === DEFAULT_LIMITS[what]) return [];
    return [{ what, limit: given === false ? null : given, byDefault: DEFAULT_LIMITS[what] }];
  });
}
