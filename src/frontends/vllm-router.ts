import { takesMooncake } from '../backends/common/config.ts';
import { DISCOVERY_PORT, discoversWorkers } from '../backends/vllm/moriio.ts';
import { toldRouter } from './common/told-workers.ts';

/**
 * vLLM's router (vllm-router 0.1.17). It listens only when its workers are healthy, and exits with an error
 * when they are late. A prefill worker answers with one token and the `kv_transfer_params`, which the router
 * sends to the decode worker.
 */
export const vllmRouter = toldRouter({
  type: 'vllm-router',
  summary: 'the vLLM router',
  program: ['python3', '-m', 'vllm_router.launch_router'],
  takesTokenIds: true,
  disaggregated: '--vllm-pd-disaggregation',
  discovery: (recipe) => (discoversWorkers(recipe) ? DISCOVERY_PORT : null),
  // NIXL's connector needs no bootstrap port.
  tellsBootstrap: takesMooncake,
  graceMs: 5_000,
});
