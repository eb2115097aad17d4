import type { EndpointProcess } from '../../model/kinds.ts';
import { PlanError } from '../../os/errors.ts';
import { entryOn } from './placement.ts';
import type { FrontendContext, FrontendProtocol } from './protocol.ts';

/** No router: the only aggregated worker serves the public port itself. */
export function directServer(
  own: Pick<FrontendProtocol, 'type' | 'takesTokenIds'> & { readonly others: string },
): FrontendProtocol {
  const { type, takesTokenIds, others } = own;
  const onlyWorker = ({ processes }: FrontendContext): EndpointProcess => {
    const wrong = (path: string, message: string): PlanError =>
      new PlanError('wrong-frontend', message, {
        place: { file: '', path },
        hint: `give it one aggregated worker, or use ${others}`,
      });
    const [one, ...more] = processes.filter(({ rank }) => rank === 0);
    if (one?.mode !== 'agg')
      throw wrong('frontend.type', `${type} has no router for prefill and decode workers`);
    if (more.length > 0)
      throw wrong('resources.agg_workers', `${type} has no router for several aggregated workers`);
    return one;
  };
  return {
    type,
    summary: 'the only aggregated worker itself',
    needsEtcd: false,
    takesTokenIds,
    entry: (context) => entryOn(context, onlyWorker(context).node),
    processes(context) {
      onlyWorker(context);
      return [];
    },
  };
}
