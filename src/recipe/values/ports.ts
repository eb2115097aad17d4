/**
 * TCP ports of workers. They are those of the reference implementation, so that existing logs, dashboards and
 * firewall rules fit. Ports counted per node may repeat on another node, ports counted per job never do.
 */
const HTTP = 6100;
const HTTP_STEP = 32;
const BOOTSTRAP = 7200;
const KV_EVENTS = 5200;
const NIXL = 5400;
const SYSTEM = 7500;
const REPLAY = 16_500;
const LOAD = 17_000;
const REQUESTS = 9500;
const NCCL = 17500;
const DIST_INIT = 8300;
const DATA_PARALLEL_RPC = 8400;
const RENDEZVOUS = 12_000;
const RENDEZVOUS_STEP = 100;
const SCAN = 20_000;
const SCAN_STEP = 50;

/** The start of each range of ports, which a node should have free for any recipe. */
export const FIRST_PORTS = [
  HTTP,
  BOOTSTRAP,
  KV_EVENTS,
  NIXL,
  SYSTEM,
  REQUESTS,
  NCCL,
  DIST_INIT,
  DATA_PARALLEL_RPC,
];

/** Allocates the ports of a point's workers; call it in the order of the endpoints. */
export class PortAllocator {
  private readonly leadersOn = new Map<string, number>();
  private readonly bootstrapsOn = new Map<string, number>();
  private processes = 0;
  private kvEvents = 0;
  private nixl = 0;

  http = (node: string): number => HTTP + HTTP_STEP * next(this.leadersOn, node);

  /**
   * Port of a prefill leader from which decode workers fetch; its followers get the same one. For a process
   * with several workers it is the first of as many.
   */
  bootstrap = (node: string, workers = 1): number => BOOTSTRAP + next(this.bootstrapsOn, node, workers);

  /** The ports of a single process, whichever node it is on. */
  ofProcess(): { kvEvents: number; nixl: number; system: number; requests: number } {
    return { ...this.block(1), ...this.ofDynamo() };
  }

  /** A Dynamo process's status port, and its port for requests. */
  ofDynamo(): { system: number; requests: number } {
    const index = this.processes++;
    return { system: SYSTEM + index, requests: REQUESTS + index };
  }

  /** The first of `size` ports for KV events and of as many for NIXL, for the data-parallel ranks of an endpoint. */
  block(size: number): { kvEvents: number; nixl: number } {
    const first = { kvEvents: KV_EVENTS + this.kvEvents, nixl: NIXL + this.nixl };
    this.kvEvents += size;
    this.nixl += size;
    return first;
  }
}

function next(counts: Map<string, number>, node: string, step = 1): number {
  const count = counts.get(node) ?? 0;
  counts.set(node, count + step);
  return count;
}

/** NCCL's rendezvous port of the `index`-th process of the point. */
export const ncclPort = (index: number): number => NCCL + index;

/** The first port at which SGLang's ranks answer for missed KV events. `before`: ranks of earlier workers on the node. */
export const replayPort = (before: number): number => REPLAY + before;

/** The first port at which SGLang's ranks publish their load. */
export const loadPort = (before: number): number => LOAD + before;

/** torch.distributed's port of the `index`-th endpoint of several nodes that a node leads. */
export const distInitPort = (index: number): number => DIST_INIT + index;

/**
 * The first of the ports of the `index`-th endpoint that a node leads, for engines whose ranks meet on as many as
 * RENDEZVOUS_STEP.
 */
export const rendezvousPort = (index: number): number => RENDEZVOUS + RENDEZVOUS_STEP * index;

/** The meeting port of the data-parallel ranks of the `index`-th such endpoint that a node leads. */
export const dataParallelRpcPort = (index: number): number => DATA_PARALLEL_RPC + index;

/** The first port of the range in which vLLM's `index`-th process of the point searches for free ports. */
export const scanPort = (index: number): number => SCAN + SCAN_STEP * index;

/**
 * The port for clients' requests: that of the only router, of nginx in front of several, or of the only
 * worker without a router.
 */
export const PUBLIC_PORT = 8000;
