import { nkeys } from 'nats';
import { describe, expect, it } from 'vitest';
import { answerTo, createUserKey } from '../../../src/messages/bus/nkey.ts';

const text = new TextEncoder();

describe('keys of the bus', () => {
  it('are those of NATS: the same public key, and signatures that NATS accepts', () => {
    for (let round = 0; round < 10; round++) {
      const { seed, publicKey } = createUserKey();
      const known = nkeys.fromSeed(text.encode(seed));
      expect(known.getPublicKey()).toBe(publicKey);
      const { nkey, sig } = answerTo(seed, 'a nonce');
      expect(nkey).toBe(publicKey);
      expect(known.verify(text.encode('a nonce'), Buffer.from(sig, 'base64url'))).toBe(true);
    }
  });

  it('sign with seeds that NATS made', () => {
    const made = nkeys.createUser();
    const { nkey } = answerTo(new TextDecoder().decode(made.getSeed()), 'x');
    expect(nkey).toBe(made.getPublicKey());
  });

  it('are invalid when a letter is wrong', () => {
    const { seed } = createUserKey();
    expect(() =>
      answerTo(`${seed.slice(0, 20)}${seed[20] === 'A' ? 'B' : 'A'}${seed.slice(21)}`, 'x'),
    ).toThrow();
    expect(() => answerTo('not a seed', 'x')).toThrow();
  });
});
