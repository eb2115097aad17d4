import { toldRouter } from './common/told-workers.ts';

/** SGLang's router, sgl-model-gateway (sglang-router 0.3.2). */
export const sglangRouter = toldRouter({
  type: 'sglang-router',
  summary: 'the SGLang router',
  program: ['python3', '-m', 'sglang_router.launch_router'],
  // Its /v1/completions accepts only text, and answers ids with HTTP 422.
  takesTokenIds: false,
  disaggregated: '--pd-disaggregation',
  tellsBootstrap: () => true,
  graceMs: 5_000,
  // src/core/job_queue.rs: "Failed job: type=AddWorker, worker=http://…, error=…"
  givesUp: 'Failed job: type=AddWorker',
});
