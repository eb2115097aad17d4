import { X509Certificate } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { connect, nkeyAuthenticator } from 'nats';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import {
  createServerCertificate,
  type ServerCertificate,
} from '../../src/coordinator/bus-server/certificates.ts';
import { connectBus, inboxOf } from '../../src/messages/bus/nats-bus.ts';
import { subjectsOf } from '../../src/messages/events/subjects.ts';
import { startTestBus, type TestBus } from '../support/bus.ts';

const JOB = 'job-tls';
const s = subjectsOf(JOB);
let tls: ServerCertificate;
let bus: TestBus;
beforeAll(async () => {
  tls = await createServerCertificate(['127.0.0.1', 'node1.cluster']);
  bus = await startTestBus(JOB, ['node1'], tls);
});
afterAll(() => bus?.stop());

it("the job's own authority signs a certificate for the head node's address and name", async () => {
  const certificate = new X509Certificate(tls.cert);
  expect(certificate.verify(new X509Certificate(tls.ca).publicKey)).toBe(true);
  expect(certificate.checkIP('127.0.0.1')).toBe('127.0.0.1');
  expect(certificate.checkHost('node1.cluster')).toBe('node1.cluster');
  expect(certificate.ca).toBe(false);
  expect((await stat(join(bus.directory, 'nats/server.key'))).mode & 0o777).toBe(0o600);
});

it("srtctl's own clients use TLS, and engines find their account without TLS", async () => {
  const coordinator = await bus.coordinator();
  const agent = await bus.agent('node1');
  coordinator.subscribe(s.hello('*'), z.unknown(), ({ respond }) => respond({ yes: 1 }));
  await coordinator.settled();
  expect(await agent.request(s.hello('node1'), {}, z.unknown(), 20_000)).toEqual({ yes: 1 });
  const authenticator = nkeyAuthenticator(new TextEncoder().encode(bus.keys.coordinator.seed));
  await expect(connect({ servers: bus.nats.url, authenticator, tls: {} })).rejects.toThrow(/certificate/);
  const engine = await connect({ servers: bus.nats.url, tls: null });
  await engine.flush();
  await engine.close();
});

it('a client refuses a server of another authority, and a server without a certificate', async () => {
  const other = await createServerCertificate(['127.0.0.1']);
  const options = { seed: bus.keys.coordinator.seed, job: JOB, name: 'x', inbox: inboxOf('coordinator') };
  await expect(connectBus({ ...options, url: bus.nats.url, ca: other.ca })).rejects.toThrow(/cannot reach/);
  const plain = await startTestBus(JOB, []);
  try {
    await expect(connectBus({ ...options, url: plain.nats.url, ca: tls.ca })).rejects.toThrow(/cannot reach/);
  } finally {
    await plain.stop();
  }
});
