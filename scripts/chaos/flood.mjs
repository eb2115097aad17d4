// Malformed messages that a client with an agent's key can send on the bus, as fast as possible.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, nkeyAuthenticator } from 'nats';
import { randomOf } from './random.mjs';

const BATCH = 200;

export async function flood({ jobId, jobDir, which, ms, seed }) {
  const random = randomOf(seed);
  const credentials = join(jobDir, '.credentials');
  let own;
  try {
    const names = readdirSync(credentials).sort();
    own = JSON.parse(readFileSync(join(credentials, names[Math.floor(which * names.length)]), 'utf8'));
  } catch {
    // The bus does not exist yet, or has ended.
    return;
  }
  const node = own.node.replaceAll(/[^\w-]/g, (char) => `%${char.charCodeAt(0).toString(16)}`);
  const authenticator = nkeyAuthenticator(new TextEncoder().encode(own.seed));
  const inboxPrefix = `_INBOX_agent_${node}`;
  const connection = await connect({ servers: own.url, authenticator, inboxPrefix, reconnect: false }).catch(
    () => undefined,
  );
  if (!connection) return;
  const root = `srt.${jobId}`;
  const subjects = [
    ...[`${root}.agent.${node}.hello`, `${root}.agent.${node}.heartbeat`],
    ...[`${root}.process.${node}.x.transition`, `${root}.process.${node}.x.metrics`],
  ];
  const bodies = [
    ...['', '[]', '{"v":1}', '{"v":1e999}', `{"v":1,"node":"${'x'.repeat(2_000)}"}`],
    ...['{"v":1,"kind":"process.transition","seq":-1,"source":"agent:x"}', '[['.repeat(2_000)],
  ];
  const until = performance.now() + ms;
  try {
    while (performance.now() < until) {
      for (let number = 0; number < BATCH; number++)
        connection.publish(
          subjects[Math.floor(random() * subjects.length)],
          bodies[Math.floor(random() * bodies.length)],
        );
      await connection.flush();
    }
  } catch {
    // The server has closed the connection, or the job has ended.
  } finally {
    await connection.close().catch(() => undefined);
  }
}
