import type { NatsConnection } from 'nats';

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Messages that fit no schema, or that fit one and are hostile. */
export function malformed(random: () => number): Uint8Array | string {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const bytes = Uint8Array.from({ length: Math.floor(random() * 400) }, () => random() * 256);
  const number = pick(['1e999', '-1', '9007199254740993', '0.1', '1e308', '"1"', 'null', 'true', '[]']);
  const report = `{"id":${number},"state":"ready","pid":${number},"generation":${number}}`;
  return pick([
    () => bytes,
    () => '',
    () => number,
    () =>
      `{"v":1,"node":"node1","incarnation":"x","epoch":${number},"generation":${number},"processes":[${report}]}`,
    () => `{"v":${number},"kind":"process.transition","seq":${number},"source":"agent:node1:x"}`,
    () => '{"__proto__":{"v":1,"accepted":true},"constructor":{"prototype":{"polluted":1}},"v":1}',
    () => `{"v":1,"by":{"toString":1},"__proto__":null}`,
    () => '{"v":1,"lines":-5,"offset":1e300}',
    () => '{"kind":"constructor","v":1,"at":"","source":"agent:node1:x","seq":1}',
    () => `{"v":1,"node":"node1\\u0000\\u001b[2J","incarnation":"${'x'.repeat(random() * 2_000)}"}`,
    () => '\ud800{"v":1}',
    () => `{"v":1,"processes":${'['.repeat(5_000)}${']'.repeat(5_000)}}`,
  ])();
}

/** A few large ones: half a megabyte of wrong elements, of depth, of digits. */
export const large: readonly string[] = [
  `{"v":1,"node":"node1","processes":[${'1,'.repeat(250_000)}1]}`,
  `${'['.repeat(250_000)}${']'.repeat(250_000)}`,
  `{"v":1,"epoch":${'9'.repeat(500_000)}}`,
  `{"v":1,"at":"${'x'.repeat(500_000)}"}`,
];

/**
 * Sends `count` messages over `subjects` in turn, with reply subjects that do not exist, and waits until the
 * server has them.
 */
export async function flood(
  connection: NatsConnection,
  subjects: readonly string[],
  count: number,
  random: () => number,
): Promise<void> {
  for (let n = 0; n < count; n++) {
    const subject = subjects[n % subjects.length] ?? '';
    const reply = n % 7 === 0 ? { reply: subjects[(n * 3) % subjects.length] ?? '' } : {};
    connection.publish(subject, n % 1_000 === 999 ? large[(n / 1_000) & 3] : malformed(random), reply);
    if (n % 500 === 499) await connection.flush();
  }
  await connection.flush();
}
