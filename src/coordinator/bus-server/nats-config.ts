import { createHmac } from 'node:crypto';
import { inboxOf } from '../../messages/bus/nats-bus.ts';
import {
  keptSubjects,
  publicSubjects,
  SYSTEM_DISCONNECT,
  streamOf,
  subjectsOf,
} from '../../messages/events/subjects.ts';
import { type NatsLogin, natsPayload } from '../../plan/infra.ts';
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
  /** Largest message, MB: prompts that Dynamo sends over NATS may be larger than the usual 1 MB. */
  readonly maxPayloadMb?: number;
  /** Additional names and passwords for engines, from the recipe. */
  readonly logins?: readonly NatsLogin[];
  /** Operators may have agents run commands (`bus.exec`). */
  readonly exec?: boolean;
  /** Files (PEM, 0600) of the server's certificate, when `bus.tls` asks for one. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string };
}

interface User {
  readonly nkey: string;
  /** An empty list permits no subject at all. */
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
  /** The role receives requests, and may answer to the requester's inbox: once for each request, within a minute. */
  readonly answers: boolean;
}

/**
 * nats-server's configuration (https://docs.nats.io/running-a-nats-service/configuration). Account SRT is for srtctl,
 * with a key and permissions for each role. Account WORKLOAD is for the engines, which connect without a login and
 * cannot see SRT. Account PUBLIC is for readers. It imports the public subjects of SRT and has a stream of its own,
 * because a client that may send a request to the server may also have the answer sent to any subject of the same
 * account: in SRT a reader could have it sent to an agent's desired state.
 */
export function natsConfig(input: NatsConfigInput): string {
  const { keys } = input;
  const [srt, workload, open] = ['SRT', 'WORKLOAD', 'PUBLIC'].map((name) => accountName(name, keys));
  const shared = publicSubjects(input.jobId).map(quote);
  return `# Made by srtctl for job ${input.jobId}.
server_name: ${quote(`srt-${input.jobId}`)}
listen: ${quote(`${input.host}:${input.port}`)}
ports_file_dir: ${quote(input.portsDir)}
pid_file: ${quote(input.pidFile)}
log_file: ${quote(input.logFile)}
${natsPayload(input.maxPayloadMb ?? 1)}
max_control_line: 4KB
max_connections: ${CONNECTIONS}
# A frozen peer shows after two missed pings.
ping_interval: "1s"
ping_max: 2
write_deadline: "10s"
jetstream {
  store_dir: ${quote(input.storeDir)}
  max_memory_store: 64MB
  max_file_store: 5GB
}
${tlsBlock(input.tls)}system_account: SYS
no_auth_user: ${ENGINES.user}
accounts {
  SYS {
    users: [
${userBlock({ nkey: keys.system.publicKey, publish: [], subscribe: [SYSTEM_DISCONNECT], answers: false })}
    ]
  }
  # Each account has its own share of the disk: engines cannot take what the job's events need.
  ${srt} {
    jetstream {
      max_memory: 1MB
      max_store: 1536MB
      max_streams: 2
    }
    users: [
${srtUsers(input.jobId, keys, { exec: input.exec === true })
  .map(userBlock)
  .join('\n')}
    ]
    exports: [
${shared.map((subject) => `      { stream: ${subject}, accounts: [${open}] }`).join('\n')}
    ]
  }
  ${open} {
    limits {
      max_connections: ${READERS}
      max_subscriptions: 65536
    }
    jetstream {
      max_memory: 1MB
      max_store: 1152MB
      max_streams: 2
      max_consumers: 1024
    }
    users: [
${publicUsers(input.jobId, keys).map(userBlock).join('\n')}
    ]
    imports: [
${shared.map((subject) => `      { stream: { account: ${srt}, subject: ${subject} } }`).join('\n')}
    ]
  }
  ${workload} {
    limits {
      max_connections: ${CONNECTIONS - OWN_CONNECTIONS}
      max_subscriptions: 262144
    }
    jetstream {
      max_memory: 60MB
      max_store: 2304MB
      max_streams: 256
      max_consumers: 1024
    }
    users: [
${[ENGINES, ...(input.logins ?? []).filter(({ user }) => user !== ENGINES.user)].map(engineUser).join('\n')}
    ]
  }
}
`;
}

const CONNECTIONS = 16_384;
/**
 * Reserved for srtctl, because viewers connect, and an agent on each of a thousand nodes has two connections while it
 * reconnects.
 */
const OWN_CONNECTIONS = 4_096;
/** Of these, those of readers. */
const READERS = 1_024;

/**
 * Dynamo logs in by this name and password when none is set (lib/runtime/src/transports/nats.rs, 0.7.0 to 1.6.1).
 * `no_auth_user` applies only to clients that send no name at all, so the account's user must have this name.
 */
const ENGINES = { user: 'user', password: 'user' } as const;

const engineUser = ({ user, password }: NatsLogin): string =>
  `      { user: ${quote(user)}, password: ${quote(password)}, permissions: { publish: { deny: [${ADMINISTRATION.map(quote).join(', ')}] } } }`;

/** A limit of the server, not of an account. */
const ADMINISTRATION = ['$JS.API.ACCOUNT.PURGE.>', '$JS.API.SERVER.>', '$JS.API.META.>'];

/**
 * Before nats-server 2.10.27 a client that knows the name of any account can delete all its streams (CVE-2025-30215).
 * No permission prevents this, because the server's own acknowledgement of an event deletes the stream when the
 * publisher directs it there. So the names are secret. A restarted server gets the same names, because they are the
 * names of its files.
 */
const accountName = (name: string, keys: JobKeys): string =>
  `${name}_${createHmac('sha256', keys.coordinator.seed).update(name).digest('hex').slice(0, 32)}`;

/**
 * The permissions of each role. Exported for its test. A role may do no more than it needs: an operator
 * receives no request (it could answer in the coordinator's place), and no role may delete or purge the
 * stream.
 */
export function srtUsers(jobId: string, keys: JobKeys, { exec }: { readonly exec: boolean }): User[] {
  const s = subjectsOf(jobId);
  const stream = streamOf(jobId);
  const readStream = readingOf(stream);
  const agents = [...keys.agents].map(([node, { publicKey }]) => ({
    nkey: publicKey,
    publish: [
      ...[s.hello(node), s.heartbeat(node), s.processesOf(node)],
      ...[s.telemetrySeries(node), s.telemetrySamples(node)],
    ],
    subscribe: [
      s.desired(node),
      s.kill(node),
      ...(exec ? [s.exec(node)] : []),
      s.clock(node),
      s.telemetryDescribe(node),
      s.telemetryPower(node),
      s.all,
      s.log(node, '*'),
      `${inboxOf('agent', node)}.>`,
    ],
    answers: true,
  }));
  return [
    {
      nkey: keys.coordinator.publicKey,
      publish: [
        s.everything,
        `$JS.API.STREAM.CREATE.${stream}`,
        `$JS.API.STREAM.UPDATE.${stream}`,
        ...readStream,
        `${inboxOf('operator')}.>`,
        ...[...keys.agents.keys()].map((node) => `${inboxOf('agent', node)}.>`),
      ],
      subscribe: [s.everything, `${inboxOf('coordinator')}.>`],
      // The role reads the stream, where each message could be answered: the server would remember all messages of a
      // minute, and above 4,096 would scan them at each further one.
      answers: false,
    },
    {
      nkey: keys.operator.publicKey,
      publish: [
        s.log('*', '*'),
        s.telemetryDescribe('*'),
        s.cancel,
        ...(exec ? [s.exec('*')] : []),
        ...readStream,
      ],
      subscribe: [
        ...keptSubjects(jobId),
        s.heartbeat('*'),
        s.processesOf('*'),
        s.telemetrySeries('*'),
        s.telemetrySamples('*'),
        s.points,
        s.allLease,
        `${inboxOf('operator')}.>`,
      ],
      answers: false,
    },
    ...agents,
  ];
}

const readingOf = (stream: string): readonly string[] => [
  `$JS.API.STREAM.INFO.${stream}`,
  `$JS.API.CONSUMER.CREATE.${stream}`,
  `$JS.API.CONSUMER.CREATE.${stream}.>`,
  `$JS.API.CONSUMER.INFO.${stream}.*`,
  `$JS.API.CONSUMER.DELETE.${stream}.*`,
  `$JS.API.CONSUMER.MSG.NEXT.${stream}.*`,
  `$JS.ACK.${stream}.>`,
];

/**
 * The permissions in the account of readers. Exported for its test. The tools of NATS look for streams by subject and
 * name, and their inboxes begin with `_INBOX.`.
 */
export function publicUsers(jobId: string, keys: Pick<JobKeys, 'reader' | 'librarian'>): User[] {
  const stream = streamOf(jobId);
  const find = ['$JS.API.INFO', '$JS.API.STREAM.NAMES', '$JS.API.STREAM.LIST'];
  return [
    {
      nkey: keys.librarian.publicKey,
      publish: [`$JS.API.STREAM.CREATE.${stream}`, `$JS.API.STREAM.UPDATE.${stream}`],
      subscribe: [`${inboxOf('librarian')}.>`],
      answers: false,
    },
    {
      nkey: keys.reader.publicKey,
      publish: [...find, ...readingOf(stream), `$JS.FC.${stream}.>`],
      subscribe: [subjectsOf(jobId).everything, '_INBOX.>'],
      answers: false,
    },
  ];
}

// An empty list of what is allowed would allow everything.
const publishBlock = (publish: readonly string[]): string =>
  publish.length === 0 ? '{ deny: [">"] }' : `{ allow: [${publish.map(quote).join(', ')}] }`;

const userBlock = ({ nkey, publish, subscribe, answers }: User): string => `      {
        nkey: ${nkey}
        permissions: {
          publish: ${publishBlock(publish)}
          subscribe: { allow: [${subscribe.map(quote).join(', ')}] }
${answers ? '          allow_responses: { max: 1, expires: "1m" }\n' : ''}        }
      }`;

/** srtctl's own clients require TLS. Engines cannot use TLS, and still reach their account without it. */
const tlsBlock = (tls: NatsConfigInput['tls']): string =>
  tls === undefined
    ? ''
    : `tls {
  cert_file: ${quote(tls.certFile)}
  key_file: ${quote(tls.keyFile)}
  timeout: 10
}
allow_non_tls: true
`;

const quote = (text: string): string => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
