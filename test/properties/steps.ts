import fc from 'fast-check';
import { inTheWay } from '../../src/node-agent/processes/reconcile.ts';
import type { Fate } from '../support/simulated-bus.ts';
import { specOf } from '../support/spec.ts';

/** The desired state is any set of these processes. They differ in identity, GPU and the way they end. */
const aSpec = fc
  .record({
    id: fc.constantFrom('a', 'b', 'c', 'd'),
    manner: fc.constantFrom('quick', 'quick', 'slow', 'stubborn', 'forks'),
    version: fc.constantFrom('1', '2'),
    gpu: fc.constantFrom(0, 1, 2),
    graceMs: fc.constantFrom(20, 500),
    // Monitoring, which may change while the process itself does not.
    readyAfter: fc.constantFrom('x', 'y'),
    critical: fc.boolean(),
  })
  .map(({ manner, version, gpu, ...rest }) =>
    specOf({ ...rest, node: rest.id < 'c' ? 'node1' : 'node2', argv: ['run', manner, version], gpus: [gpu] }),
  );
/** Leaves out two processes that cannot run side by side. */
const aSet = fc
  .array(aSpec, { maxLength: 4 })
  .map((specs) =>
    specs.filter(
      (spec, at) => !specs.slice(0, at).some((other) => other.node === spec.node && inTheWay(spec, other)),
    ),
  );
const pick = fc.nat(1_000);
/** The events of a coordinator and two agents. */
export const aStep = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('want' as const), set: aSet }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('again' as const), pick: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('clear' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('crash' as const), node: fc.nat(1), pick }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('cut' as const), node: fc.nat(1), off: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reconnect' as const), node: fc.nat(1) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('replay' as const), pick }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('rewatch' as const), after: fc.constantFrom('x', 'y') }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('usurp' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('late' as const), set: aSet, clears: fc.boolean() }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('wait' as const),
      ms: fc.constantFrom(0, 1, 3, 30, 350, 1_500, 12_000),
    }),
  },
);
export type Step = typeof aStep extends fc.Arbitrary<infer T> ? T : never;
/** The fates of messages, in turn. */
export const someFates = fc.array(
  fc.constantFrom<Fate[]>('arrives', 'arrives', 'arrives', 'lost', 'twice', 'late'),
  { minLength: 1, maxLength: 40 },
);
