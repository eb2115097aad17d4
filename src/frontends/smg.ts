import { toldRouter } from './common/told-workers.ts';

/** Shepherd Model Gateway (smg 1.13.0), which began as SGLang's router and takes its command line. */
export const smg = toldRouter({
  type: 'smg',
  summary: 'the Shepherd model gateway',
  program: ['python3', '-m', 'smg.launch_router'],
  // Its /v1/completions accepts only text, and answers ids with HTTP 400.
  takesTokenIds: false,
  disaggregated: '--pd-disaggregation',
  tellsBootstrap: () => true,
  // After SIGTERM it always waits five seconds for load balancers to notice (model_gateway/src/server.rs).
  graceMs: 15_000,
  // model_gateway/src/workflow/job_queue.rs
  givesUp: 'Failed job: type=AddWorker',
});
