import { setPriority } from 'node:os';
import { packLog } from './pack.ts';

/** `node telemetry-pack.js LOG…`: packs closed logs of telemetry into Parquet files beside them, and removes them. */
async function main(): Promise<void> {
  const logs = process.argv.slice(2);
  if (logs.length === 0) {
    process.stderr.write('usage: telemetry-pack LOG...\n');
    process.exit(2);
  }
  // Engines run beside it.
  setPriority(19);
  for (const log of logs) await packLog(log);
}

void main();
