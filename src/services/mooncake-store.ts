import * as z from 'zod';
import { mooncakeHost, mooncakeOf, mooncakePlaces } from '../backends/common/mooncake.ts';
import type { ServiceProtocol } from './common/protocol.ts';

/** A store of Mooncake apart from the workers, whose memory it offers in place of theirs. */
export const mooncakeStore: ServiceProtocol = {
  type: 'mooncake-store',
  summary: "a node's part of Mooncake's store, apart from the workers",
  options: z.strictObject({}),
  hasCommand: true,
  placement: 'head',
  start: 'before_workers',
  critical: true,
  needs: ['mooncake-master'],
  image: ({ recipe, runtime }) => mooncakeOf(recipe)?.container ?? runtime.image,
  command: () => ['python', '-m', 'mooncake.mooncake_store_service'],
  environment: ({ runtime, instance }) => mooncakeHost(runtime, instance.node),
  ownEnvironment: ({ recipe, runtime, roles }) => mooncakePlaces(recipe, runtime, roles),
};
