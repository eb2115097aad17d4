import * as z from 'zod';

const seconds = (fallback: number, what: string) =>
  z.number().positive().max(86_400).default(fallback).describe(`seconds: ${what}`);
const critical = (whose: string) =>
  z.boolean().default(true).describe(`whether the end of ${whose} fails the point`);

/**
 * `supervision`: how soon a dead, silent or hung component counts as lost, and what follows. Times in
 * seconds.
 */
export const supervisionSchema = z
  .strictObject({
    heartbeat: seconds(1, 'from one heartbeat of an agent to the next'),
    suspect_after: seconds(1.5, 'silence after which an agent is suspect'),
    lost_after: seconds(3, 'silence after which an agent counts as lost'),
    reconnect: seconds(1, 'how long an agent whose connection ended may take to come back'),
    lease: seconds(10, 'an agent stops its processes after this long without a message of the coordinator'),
    grace: z
      .number()
      .positive()
      .max(86_400)
      .nullish()
      .describe('seconds from SIGTERM to SIGKILL; by default what suits the kind of process'),
    unhealthy_after: seconds(300, 'how long the health probes of a worker may fail before it has failed'),
    hung_after: seconds(
      600,
      'a worker with running requests whose token counters stand still, or a benchmark that says nothing, has failed',
    ),
    pid_namespace: z
      .boolean()
      .default(false)
      .describe('each agent and all its processes in a PID namespace of their own'),
    on_dirty_node: z
      .enum(['fail', 'warn'])
      .default('fail')
      .describe("what to do about GPUs that are held by processes which are not this job's"),
    check_options: z
      .boolean()
      .default(true)
      .describe(
        'the parsers of engines and routers parse their command lines in the image, on one node, before any worker starts; not with simulated engines',
      ),
    relaunch_agents: z.boolean().default(true).describe('start a new agent on a node whose agent has died'),
    critical: z
      .strictObject({
        prefill: critical('a prefill worker'),
        decode: critical('a decode worker'),
        agg: critical('an aggregated worker'),
        frontend: critical('a router'),
      })
      .prefault({})
      .describe('what a run cannot do without; the loss of the others is noted in the result'),
  })
  .superRefine(({ heartbeat, suspect_after: suspect, lost_after: lost, lease }, context) => {
    const refuse = (path: string, message: string) =>
      context.addIssue({ code: 'custom', path: [path], message });
    if (suspect <= heartbeat) refuse('suspect_after', `must be longer than heartbeat (${heartbeat} s)`);
    if (lost < suspect) refuse('lost_after', `must not be shorter than suspect_after (${suspect} s)`);
    // The coordinator renews leases as often as agents send heartbeats; one that is lost must not end a run.
    if (lease < 3 * heartbeat) refuse('lease', `must be at least three times heartbeat (${heartbeat} s)`);
  })
  .prefault({});
export type SupervisionSettings = z.infer<typeof supervisionSchema>;

export const busSchema = z
  .strictObject({
    tls: z
      .boolean()
      .default(false)
      .describe("encrypt srtctl's own messages, with certificates that are made for each job"),
    exec: z
      .boolean()
      .default(true)
      .describe("`srtctl exec` and `gpu` may run commands on the nodes, with the key of the job's owner"),
  })
  .prefault({});
