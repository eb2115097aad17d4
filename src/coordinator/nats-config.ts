import { inboxOf } from '../messages/nats-bus.ts';
import { SYSTEM_DISCONNECT, streamOf, subjectsOf } from '../messages/subjects.ts';
import type { JobKeys } from './keys.ts';

export interface NatsConfigInput {
  readonly jobId: string;
  readonly host: string;
  /** -1 = any free port (the server writes it into `portsDir`). */
  readonly port: number;
  readonly storeDir: string;
  readonly portsDir: string;
  readonly logFile: string;
  readonly pidFile: string;
  readonly keys: JobKeys;
}

interface User {
  readonly nkey: string;
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

/**
 * nats-server's configuration (https://docs.nats.io/running-a-nats-service/configuration): SRT for srtctl, with a
 * key and permissions for each role; WORKLOAD for the engines, which log in as nobody and cannot see SRT.
 */
export function natsConfig(input: NatsConfigInput): string {
  const { keys } = input;
  return `# Made by srtctl for job ${input.jobId}.
server_name: ${quote(`srt-${input.jobId}`)}
listen: ${quote(`${input.host}:${input.port}`)}
ports_file_dir: ${quote(input.portsDir)}
pid_file: ${quote(input.pidFile)}
log_file: ${quote(input.logFile)}
max_payload: 1MB
# A frozen peer shows after two missed pings.
ping_interval: "1s"
ping_max: 2
write_deadline: "10s"
jetstream {
  store_dir: ${quote(input.storeDir)}
  max_memory_store: 64MB
  max_file_store: 4GB
}
system_account: SYS
no_auth_user: workload
accounts {
  SYS {
    users: [
${userBlock({ nkey: keys.system.publicKey, publish: [], subscribe: [SYSTEM_DISCONNECT, `${inboxOf('system')}.>`] })}
    ]
  }
  SRT {
    jetstream: enabled
    users: [
${srtUsers(input.jobId, keys).map(userBlock).join('\n')}
    ]
  }
  WORKLOAD {
    jetstream: enabled
    users: [ { user: workload, password: workload } ]
  }
}
`;
}

/** Who may say and hear what. Exported for its test. */
export function srtUsers(jobId: string, keys: JobKeys): User[] {
  const s = subjectsOf(jobId);
  const stream = streamOf(jobId);
  const readStream = [
    `$JS.API.STREAM.INFO.${stream}`,
    `$JS.API.CONSUMER.CREATE.${stream}`,
    `$JS.API.CONSUMER.CREATE.${stream}.>`,
    `$JS.API.CONSUMER.INFO.${stream}.*`,
    `$JS.API.CONSUMER.DELETE.${stream}.*`,
    `$JS.API.CONSUMER.MSG.NEXT.${stream}.*`,
    `$JS.ACK.${stream}.>`,
  ];
  const agents = [...keys.agents].map(([node, { publicKey }]) => ({
    nkey: publicKey,
    publish: [s.hello(node), s.heartbeat(node), s.processesOf(node)],
    subscribe: [s.desired(node), s.all, s.log(node, '*'), `${inboxOf('agent', node)}.>`],
  }));
  return [
    {
      nkey: keys.coordinator.publicKey,
      publish: [s.everything, '$JS.API.>', '$JS.ACK.>'],
      subscribe: [s.everything, `${inboxOf('coordinator')}.>`],
    },
    {
      nkey: keys.operator.publicKey,
      publish: [s.log('*', '*'), s.cancel, ...readStream],
      subscribe: [s.everything, `${inboxOf('operator')}.>`],
    },
    ...agents,
  ];
}

// allow_responses: the one who is asked may answer to the asker's inbox, once a question and not later than a minute.
const userBlock = ({ nkey, publish, subscribe }: User): string => `      {
        nkey: ${nkey}
        permissions: {
          publish: { allow: [${publish.map(quote).join(', ')}] }
          subscribe: { allow: [${subscribe.map(quote).join(', ')}] }
          allow_responses: { max: 1, expires: "1m" }
        }
      }`;

const quote = (text: string): string => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
