import { entryOn } from './common/placement.ts';
import type { FrontendProtocol } from './common/protocol.ts';

/** No router and no workers: a job of services alone, whose own checks say when it is ready. */
export const none: FrontendProtocol = {
  type: 'none',
  summary: 'nothing, in a job of services alone',
  servesWorkers: false,
  needsEtcd: false,
  takesTokenIds: true,
  processes: () => [],
  // No request goes there: a benchmark that sends requests is refused.
  entry: (context) => entryOn(context, context.roles.head),
};
