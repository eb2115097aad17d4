import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { endpointsFile, pickerFile } from '../../src/frontends/llm-d/config.ts';
import { freePort } from '../../src/platform/local/local-platform.ts';
import { destroyAll, healthy, metric, nodeAddress, post, start } from '../simulator/stand-ins.ts';
import { until } from '../support/bus.ts';

/** Where `epp` and `pd-sidecar` of llm-d-router are; README.md says how to build them. */
const programs = process.env.SRTCTL_REAL_LLM_D;
const HERE = '127.0.0.1';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));
afterEach(destroyAll);

async function worker(address: string): Promise<string> {
  const port = await freePort(address);
  start(address, ['vllm', 'serve', 'a/model', '--host', address, '--port', String(port)]);
  return `${address}:${port}`;
}

describe.skipIf(programs === undefined)('programs of llm-d', () => {
  const sides = ['real', 'stand-in'] as const;
  const program = (side: (typeof sides)[number], name: string): string =>
    side === 'real' ? join(programs ?? '', name) : name;

  it.each(sides)(
    '%s: the endpoint picker reads the planned files, and counts its workers',
    async (side) => {
      const places = [await worker(nodeAddress(31)), await worker(nodeAddress(32))] as const;
      const [endpoints, config] = [join(directory, `${side}.yaml`), join(directory, `${side}-epp.yaml`)];
      const modes = ['prefill', 'decode'] as const;
      await writeFile(
        endpoints,
        endpointsFile(
          modes.map((mode, at) => {
            const [address = '', port] = (places[at] ?? '').split(':');
            return { id: `${mode}-0-0`, mode, address, port: Number(port) };
          }),
        ),
      );
      const place = { endpoints, isDisaggregated: true, renders: `http://${places[0]}`, model: 'a/model' };
      await writeFile(config, pickerFile(null, place));
      const [grpc, health, metrics] = [await freePort(HERE), await freePort(HERE), await freePort(HERE)];
      const picker = start(HERE, [
        ...[program(side, 'epp'), '--pool-name=srtctl', '--pool-namespace=srtctl', `--config-file=${config}`],
        ...[`--grpc-port=${grpc}`, `--grpc-health-port=${health}`, `--metrics-port=${metrics}`],
        '--secure-serving=false',
      ]);
      await until(`two endpoints: ${picker.output}`, async () => {
        const text = await fetch(`http://${HERE}:${metrics}/metrics`).then(
          (answer) => answer.text(),
          () => '',
        );
        return /^llm_d_epp_ready_endpoints\{.*\} 2$/m.test(text);
      });
    },
    120_000,
  );

  it.each(sides)(
    '%s: the sidecar of a decode worker has the named prefill worker answer first',
    async (side) => {
      const port = await freePort(HERE);
      const own = await freePort(HERE);
      start(HERE, [
        ...[program(side, 'pd-sidecar'), `--port=${port}`, `--model-server-port=${own}`],
        ...['--kv-connector=nixlv2', '--secure-proxy=false'],
      ]);
      // It is well before its worker is there.
      await healthy(`http://${HERE}:${port}/health`);
      start(HERE, ['vllm', 'serve', 'a/model', '--host', HERE, '--port', String(own)]);
      await healthy(`http://${HERE}:${own}/health`);
      const prefill = await worker(nodeAddress(33));
      await healthy(`http://${prefill}/health`);
      const request = { model: 'a/model', prompt: 'one two three', max_tokens: 4, ignore_eos: true };
      const url = `http://${HERE}:${port}/v1/completions`;
      const answer = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-prefiller-host-port': prefill },
        body: JSON.stringify(request),
      });
      expect(await answer.json()).toMatchObject({ usage: { completion_tokens: 4 } });
      const asked = (of: string) => metric(`http://${of}`, 'vllm:request_success_total');
      expect(await asked(prefill)).toBe(1);
      expect(await asked(`${HERE}:${own}`)).toBe(1);
      expect((await post(url, request)).status).toBe(200);
      expect(await asked(prefill), 'no prefill worker was named').toBe(1);
      expect(await asked(`${HERE}:${own}`)).toBe(2);
      expect((await fetch(`http://${HERE}:${port}/metrics`)).status).toBe(200);
    },
    120_000,
  );
});
