import * as z from 'zod';
import type { ServiceProtocol } from './common/protocol.ts';

/** The recipe's own program. */
export const generic: ServiceProtocol = {
  type: 'generic',
  summary: "the recipe's own command",
  options: z.strictObject({}),
  hasCommand: false,
  placement: 'head',
  start: 'after_frontend',
  critical: false,
  mayEnd: true,
};
