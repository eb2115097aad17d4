import { get, type ServerResponse } from 'node:http';
import { fromMachineTime, toMachineTime } from '../common/clock.ts';
import { pathOf, portOf, sendError, sendText, serve } from '../common/http.ts';

/** How long a decode worker waits for a prefill that has not started. */
const ROOM_TIMEOUT_MS = 300_000;
/**
 * How many finished prefills without a reader (their client has gone) are kept; the oldest are dropped first.
 */
const MOST_UNFETCHED = 10_000;

/** The prefill side of disaggregation: decode workers connect and wait for the KV cache of a room. */
export class BootstrapServer {
  /** When each prefill was due, in machine time. */
  readonly #done = new Map<number, number>();
  readonly #waiting = new Map<number, ServerResponse>();

  /** Resolves with the port. 0 asks for a free one. */
  async listen(host: string, port: number): Promise<number> {
    const server = await serve(host, port, (request, response) => {
      const [, room] = pathOf(request).match(/^\/room\/(\d+)$/) ?? [];
      if (room === undefined) return sendError(response, 404, 'no such room');
      const id = Number(room);
      const dueAt = this.#done.get(id);
      if (dueAt !== undefined) {
        this.#done.delete(id);
        return sendText(response, 200, String(dueAt));
      }
      this.#waiting.set(id, response);
      response.once('close', () => this.#waiting.delete(id));
    });
    return portOf(server);
  }

  /**
   * Ends the prefill of a room and releases its decode worker. `dueAt` is passed on so that the timers'
   * lateness does not add up over the two engines.
   */
  complete(room: number, dueAt: number): void {
    const at = toMachineTime(dueAt);
    const waiting = this.#waiting.get(room);
    if (waiting) {
      this.#waiting.delete(room);
      sendText(waiting, 200, String(at));
      return;
    }
    this.#done.set(room, at);
    const [oldest] = this.#done.keys();
    if (oldest !== undefined && this.#done.size > MOST_UNFETCHED) this.#done.delete(oldest);
  }
}

/**
 * The decode side: resolves with the prefill's due time (on this process's clock) when the prefill is over;
 * rejects when its worker is gone.
 */
export function awaitPrefill(
  bootstrap: { host: string; port: number; room: number },
  signal: AbortSignal,
): Promise<number> {
  const { host, port, room } = bootstrap;
  return new Promise((resolve, reject) => {
    const request = get(
      { host, port, path: `/room/${room}`, agent: false, signal, timeout: ROOM_TIMEOUT_MS },
      (response) => {
        let text = '';
        response.on('data', (data) => {
          text += data;
        });
        response.once('end', () =>
          response.statusCode === 200
            ? resolve(fromMachineTime(Number(text)))
            : reject(new Error(`bootstrap server says ${response.statusCode}`)),
        );
        response.once('error', reject);
      },
    );
    request.once('timeout', () => request.destroy(new Error('timed out')));
    request.once('error', (error) =>
      reject(new Error(`KVTransferError: prefill at ${host}:${port} room ${room}: ${error.message}`)),
    );
  });
}
