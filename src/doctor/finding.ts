import * as z from 'zod';

const statusSchema = z.enum(['ok', 'warn', 'fail']);
export type Status = z.infer<typeof statusSchema>;

/** The result of one check in one place. */
export interface Finding {
  readonly check: string;
  /** `login`, `slurm`, or names of nodes. */
  readonly where: string;
  readonly status: Status;
  readonly text: string;
  /** What to do about it; null when nothing has to be done. */
  readonly advice: string | null;
}

/** A finding without its place, as a check returns it. */
export type Found = Omit<Finding, 'check' | 'where'>;

export const ok = (text: string): Found => ({ status: 'ok', text, advice: null });
export const warn = (text: string, advice: string): Found => ({ status: 'warn', text, advice });
export const fail = (text: string, advice: string): Found => ({ status: 'fail', text, advice });

/** Merges equal findings of several nodes into one with all their names. */
export function merged(findings: readonly Finding[]): Finding[] {
  const byText = new Map<string, { finding: Finding; places: string[] }>();
  for (const finding of findings) {
    const key = JSON.stringify([finding.check, finding.status, finding.text, finding.advice]);
    const known = byText.get(key);
    if (known) known.places.push(finding.where);
    else byText.set(key, { finding, places: [finding.where] });
  }
  return [...byText.values()].map(({ finding, places }) => ({ ...finding, where: places.join(',') }));
}
