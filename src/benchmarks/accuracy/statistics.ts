/** Mean, and the sample's standard deviation (divided by n - 1; null for one value). */
export function meanAndDeviation(values: readonly number[]): {
  readonly mean: number;
  readonly deviation: number | null;
} {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  if (values.length < 2) return { mean, deviation: null };
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: Math.sqrt(squares / (values.length - 1)) };
}
