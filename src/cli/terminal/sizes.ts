const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** `10G`, `1.5 TiB`, `500MB` or `4096` in bytes, with units of 1,024; undefined for another text. */
export function bytesOf(text: string): number | undefined {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)\s?([KMGTP]?)(?:i?B)?$/i.exec(text) ?? [];
  if (number === undefined) return undefined;
  const power = unit === '' ? 0 : 'KMGTP'.indexOf(unit.toUpperCase()) + 1;
  return Math.round(Number(number) * 1_024 ** power);
}

/** `14 B`, `2.9 KiB`, `1.2 GiB` */
export function sizeText(bytes: number): string {
  let [value, unit] = [bytes, 0];
  while (value >= 1_024 && unit < UNITS.length - 1) {
    value /= 1_024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`;
}
