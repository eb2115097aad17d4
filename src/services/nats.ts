import * as z from 'zod';
import { VAIN } from '../model/checks.ts';
import { positiveSchema } from '../recipe/values/values.ts';
import type { ServiceProtocol } from './common/protocol.ts';
import { settingsWithoutEffect } from './common/without-effect.ts';

/**
 * The NATS of Dynamo's workers and frontends. srtctl's own nats-server serves them, in an account of their own, so a
 * declared service only changes its settings.
 */
export const nats: ServiceProtocol = {
  type: 'nats',
  summary: "NATS of Dynamo's workers, which is srtctl's own server",
  options: z.strictObject({
    max_payload_mb: positiveSchema.max(1000).nullish().describe('largest message in MB'),
  }),
  hasCommand: true,
  placement: 'infra',
  placements: ['head', 'infra', 'dedicated'],
  start: 'infra',
  critical: true,
  isInfra: true,
  processes: () => [],
  notDone: (service) =>
    settingsWithoutEffect(service, `${VAIN}the nats-server of the job is srtctl's own`, ['args', 'env']),
};
