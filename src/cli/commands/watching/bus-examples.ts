import type { WayIn } from '../../jobs/way-in.ts';

/** Languages for which there is an example. */
export const LANGUAGES = ['node', 'python', 'go'] as const;
export type Language = (typeof LANGUAGES)[number];

/** A word of a shell; quoted where it needs it. */
const word = (text: string): string =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;

const json = (text: string): string => JSON.stringify(text);

/**
 * Command lines of NATS' own tool, natscli (github.com/nats-io/natscli, 0.1 to 0.3): the first watches what happens
 * from now on, the second shows everything from the job's beginning.
 */
export function natsCommands({ url, keyFile, caFile, subjects, stream }: WayIn): [live: string, all: string] {
  const nats = ['nats', '--server', url, '--nkey', keyFile, ...(caFile ? ['--tlsca', caFile] : [])];
  return [
    [...nats, 'sub', subjects].map(word).join(' '),
    [...nats, 'sub', '--stream', stream, '--all', subjects].map(word).join(' '),
  ];
}

const node = ({ url, keyFile, caFile, stream, subjects }: WayIn): string => `// npm install nats
import { readFileSync } from 'node:fs';
import { connect, nkeyAuthenticator } from 'nats';

const seed = new TextEncoder().encode(readFileSync(${json(keyFile)}, 'utf8').trim());
const nc = await connect({
  servers: ${json(url)},
  authenticator: nkeyAuthenticator(seed),
  tls: ${caFile ? `{ caFile: ${json(caFile)} }` : 'null'},
});
const live = nc.subscribe(${json(subjects.replace(/>$/, 'agent.*.heartbeat'))});
void (async () => {
  for await (const message of live) console.log(message.subject, message.json());
})();
const kept = await nc.jetstream().consumers.get(${json(stream)});
for await (const message of await kept.consume()) console.log(message.seq, message.subject, message.json());
`;

const python = ({ url, keyFile, caFile, stream, subjects }: WayIn): string => `# pip install "nats-py[nkeys]"
import asyncio
import json
${caFile ? 'import ssl\n' : ''}
import nats
from nats.js.api import ConsumerConfig, DeliverPolicy


async def main():
    nc = await nats.connect(
        ${json(url)},
        nkeys_seed=${json(keyFile)},${caFile ? `\n        tls=ssl.create_default_context(cafile=${json(caFile)}),` : ''}
    )
    every = ConsumerConfig(deliver_policy=DeliverPolicy.ALL)
    kept = await nc.jetstream().subscribe(${json(subjects)}, stream=${json(stream)}, ordered_consumer=True, config=every)
    async for message in kept.messages:
        print(message.subject, json.loads(message.data), flush=True)


asyncio.run(main())
`;

const go = ({ url, keyFile, caFile, stream }: WayIn): string => `// go get github.com/nats-io/nats.go
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func main() {
	key, err := nats.NkeyOptionFromSeed(${json(keyFile)})
	if err != nil {
		log.Fatal(err)
	}
	nc, err := nats.Connect(${json(url)}, key${caFile ? `, nats.RootCAs(${json(caFile)})` : ''})
	if err != nil {
		log.Fatal(err)
	}
	js, _ := jetstream.New(nc)
	kept, err := js.OrderedConsumer(context.Background(), ${json(stream)}, jetstream.OrderedConsumerConfig{})
	if err != nil {
		log.Fatal(err)
	}
	for {
		message, err := kept.Next()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(message.Subject(), string(message.Data()))
	}
}
`;

/** A program that prints every kept message of the job from its beginning, and then what comes. */
export const programOf = (language: Language, way: WayIn): string => ({ node, python, go })[language](way);
