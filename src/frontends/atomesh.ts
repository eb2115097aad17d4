import { toldRouter } from './common/told-workers.ts';

/**
 * ATOM's router, a descendant of SGLang's (ROCm/ATOM at 32c0e1f, atom/mesh/src/cliargs.rs and server.rs). It asks each
 * worker for its part of a transfer (/kv_transfer_info), so it is not told a bootstrap port.
 */
export const atomesh = toldRouter({
  type: 'atomesh',
  summary: 'the ATOM router',
  program: ['atomesh', 'launch'],
  fixed: { backend: 'atom' },
  phase: 'frontend',
  takesTokenIds: false,
  disaggregated: '--pd-disaggregation',
  tellsBootstrap: () => false,
  // It waits up to --shutdown-grace-period-secs (180) for requests that run.
  graceMs: 15_000,
});
