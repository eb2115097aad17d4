import { busJsonSchema, publicMessages } from '../src/messages/events/public-messages.ts';

/** docs/reference/bus.schema.json: the JSON Schema of all public messages. */
export const busSchema = (): string => `${JSON.stringify(busJsonSchema(), null, 2)}\n`;

/** docs/reference/bus.md, with a table of the public messages. */
export function busReference(): string {
  const rows = (isKept: boolean): string[] =>
    publicMessages
      .filter((message) => message.isKept === isKept)
      .map(({ name, subject, by, what }) => `| \`${subject}\` | ${name} | ${by} | ${what} |`);
  const table = (isKept: boolean): string =>
    ['| subject after `srt.<job>.` | definition | from | what |', '|---|---|---|---|', ...rows(isKept)].join(
      '\n',
    );
  return `# The bus of a job

Made by \`npm run docs\` from scripts/bus-reference.ts and the schemas of the messages.

Each job has a nats-server of its own on its head node. \`srtctl bus JOB\` shows how another program reaches it while the job
runs: the address, a key that may only watch, command lines for NATS' own tool, and with \`--example node|python|go\` a whole
program. After the job's end \`events.jsonl\` in its directory has all kept messages, a JSON object a line.

    srtctl bus latest                       # address, key, command lines
    srtctl bus latest --example python      # a program that prints every message
    srtctl bus latest --export reader.nk    # the key alone, for a colleague or a dashboard

## What a reader can do

The key (an nkey seed, in \`bus-reader.nk\` of the job's directory, 0600, removed at the job's end) belongs to an account that imports
the subjects below and nothing else. With it a program can watch and replay. It cannot command an agent, cancel the job,
answer in another's place, read logs, or change what is kept; nor can it have the server do any of that for it, because the
server's answers to it stay in its account (test/security/readers.test.ts). A cause of a failure has the line of the log that
explains it: that line is public on the bus, as it is in result.json.

A reader that does not keep up is disconnected after 10 s by nats-server, and the run does not wait for it, as long as the reader's
messages are fewer than 4.8 MB a second: above that, nats-server holds agents back for these seconds.

## Names

\`<job>\`, \`{node}\` and \`{process}\` are tokens: letters, digits, \`_\` and \`-\` stay as they are, every other byte of the name is
\`%XX\`. The name itself is in the message. \`srtctl bus JOB --json\` has the job's subjects and the name of its stream.

## Kept messages

The stream has them from the job's beginning. A reader that comes late, or was away, replays them in order.

${table(true)}

Each has \`kind\` (its name), \`v\`, \`at\` (the sender's wall clock, ISO 8601, for people), \`source\` (the coordinator or agent that
numbered it) and \`seq\` (grows by one with each kept message of its source).

## Other messages

${table(false)}

They are sent once, and repeat what matters: a reader that misses one learns the same from a later one.

## Telemetry

An agent takes samples at each multiple of its interval (\`telemetry.interval_ms\`, 1000 by default) and sends the values that differ
from those of the batch before; it sends a batch for each interval, also an empty one. Ids stand for series: name, labels, type
and process are in telemetry.series, which comes with each new series, and for all series in parts within 30 s. So a late reader
has all values after 30 s, and a lost batch does no lasting harm (\`seq\` shows the loss). A run \`[17, 3, null]\` says that series 17 is 3
and that series 18 has ended. Ids are those of one \`incarnation\` of an agent: another one has other ids. Who has the operator's key may ask
for all series at once (a request \`{"v": 1}\` on \`telemetry.{node}.describe\`).

## Promises

- A kept message is delivered at least once, and is in the stream once: the server drops repetitions within two minutes by
  \`Nats-Msg-Id\`. Messages of one \`source\` are in order; those of different sources are in the order in which the server got them.
- A restart of nats-server loses no kept message that \`events.jsonl\` has; readers connect again by themselves, as the clients of
  NATS do.
- \`v\` is 1. Fields and kinds may be added: ignore those that you do not know. A change that breaks a reader raises \`v\`.
- The data of a message is UTF-8 JSON, at most 1 MB.

[bus.schema.json](bus.schema.json) is the JSON Schema of all of them (\`srtctl schema --bus\` prints it): a definition for each,
by the name in the table.
`;
}
