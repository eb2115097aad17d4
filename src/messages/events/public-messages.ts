import * as z from 'zod';
import { heartbeatSchema, leaseSchema, progressMessageSchema } from './control.ts';
import { keptMessages, type MessageKind } from './events.ts';
import { telemetrySamplesSchema, telemetrySeriesSchema } from './telemetry.ts';

/** A message that readers of the bus may see. */
export interface PublicMessage extends MessageKind {
  /** Name of its definition in the JSON Schema. */
  readonly name: string;
  /** The stream keeps it from the job's beginning; else a reader only gets it while it is connected. */
  readonly isKept: boolean;
}

/** Every message that readers of the bus may see. */
export const publicMessages: readonly PublicMessage[] = [
  ...[...keptMessages].map(([name, message]) => ({ ...message, name, isKept: true })),
  {
    name: 'heartbeat',
    isKept: false,
    schema: heartbeatSchema,
    by: 'agent',
    subject: 'agent.{node}.heartbeat',
    what: 'Each second: the processes of a node with their states. It repairs what a viewer missed.',
  },
  {
    name: 'telemetry.series',
    isKept: false,
    schema: telemetrySeriesSchema,
    by: 'agent',
    subject: 'telemetry.{node}.series',
    what: 'What the ids in telemetry.samples mean, with current values: new series when they appear, and all of them again within 30 s.',
  },
  {
    name: 'telemetry.samples',
    isKept: false,
    schema: telemetrySamplesSchema,
    by: 'agent',
    subject: 'telemetry.{node}.samples',
    what: 'Each interval: the values that have changed, of all processes, of the node and of its GPUs.',
  },
  {
    name: 'point.progress',
    isKept: false,
    schema: progressMessageSchema,
    by: 'coordinator',
    subject: 'point.{ordinal}.progress',
    what: 'How far the benchmark of a point is.',
  },
  {
    name: 'lease',
    isKept: false,
    schema: leaseSchema,
    by: 'coordinator',
    subject: 'all.lease',
    what: 'Each second: the coordinator is alive; the nodes that it considers lost.',
  },
];

/** The JSON Schema of all public messages: a definition for each; the whole is any one of them. */
export function busJsonSchema(): Record<string, unknown> {
  const definitions = publicMessages.map(({ name, schema, what }) => {
    const { $schema: _, ...body } = z.toJSONSchema(schema, { io: 'input', reused: 'inline' });
    return [name, { description: what, ...body }] as const;
  });
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Messages on the bus of a job of srtctl, version 1',
    anyOf: definitions.map(([name]) => ({ $ref: `#/$defs/${name}` })),
    $defs: Object.fromEntries(definitions),
  };
}
