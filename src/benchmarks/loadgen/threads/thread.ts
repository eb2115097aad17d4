import type { MessagePort } from 'node:worker_threads';
import { watchClient } from '../figures/client-watch.ts';
import type { Measured } from '../figures/measured.ts';
import { clientOf } from '../request/client-of.ts';
import { measureRequest } from '../request/request.ts';
import { clockOrigin, type FromThread, pack, type ThreadData, type ToThread } from './messages.ts';

/** Measures the requests that the main thread sends here, until it says that nothing follows. */
export async function serveThread(port: MessagePort, data: ThreadData): Promise<void> {
  const { config, origin, chunks, thread } = data;
  const say = (message: FromThread, moved: readonly ArrayBuffer[] = []): void =>
    port.postMessage(message, moved);
  const client = await clientOf(config).catch((error: unknown) => {
    say({ kind: 'broken', error: error instanceof Error ? error.message : String(error) });
    return undefined;
  });
  if (!client) return;
  const shiftMs = clockOrigin() - origin;
  const onChunk = (): void => {
    chunks[thread] = (chunks[thread] ?? 0) + 1;
  };
  let ended: Measured[] = [];
  let watch: ReturnType<typeof watchClient> | undefined;

  const flush = (): void => {
    const batch = pack(ended, shiftMs);
    ended = [];
    say({ kind: 'measured', batch }, [batch.gapsMs.buffer]);
  };

  port.on('message', (message: ToThread) => {
    switch (message.kind) {
      case 'send': {
        const intendedAt = message.request.intendedAt - shiftMs;
        void measureRequest(client, { ...message.request, intendedAt }, onChunk).then((one) => {
          // All that end in one turn of the loop go in one message.
          if (ended.push(one) === 1) setImmediate(flush);
        });
        break;
      }
      case 'watch':
        watch = watchClient();
        break;
      case 'stop':
        client.close(message.reason);
        break;
      case 'end':
        client.close('over');
        say({ kind: 'ended', client: watch?.end() ?? null });
        port.close();
    }
  });
  say({ kind: 'ready' });
}
