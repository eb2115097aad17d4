import type { EndpointProcess } from '../model/kinds.ts';
import { PlanError } from '../os/errors.ts';
import { entryOn } from './common/placement.ts';
import type { FrontendContext, FrontendProtocol } from './common/protocol.ts';

/** No router: the only aggregated worker serves the public port itself. */
export const vllmDirect: FrontendProtocol = {
  type: 'vllm',
  summary: 'the only aggregated worker itself',
  needsEtcd: false,
  takesTokenIds: true,
  entry: (context) => entryOn(context, onlyWorker(context).node),
  processes(context) {
    onlyWorker(context);
    return [];
  },
};

function onlyWorker({ processes }: FrontendContext): EndpointProcess {
  const [one, ...more] = processes.filter(({ rank }) => rank === 0);
  if (one?.mode !== 'agg') throw wrong('frontend.type', 'vllm has no router for prefill and decode workers');
  if (more.length > 0) {
    throw wrong('resources.agg_workers', 'vllm has no router for several aggregated workers');
  }
  return one;
}

const wrong = (path: string, message: string): PlanError =>
  new PlanError('wrong-frontend', message, {
    place: { file: '', path },
    hint: 'give it one aggregated worker, or use a dynamo frontend',
  });
