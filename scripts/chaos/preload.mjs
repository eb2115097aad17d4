// Loaded before each Node program of a job under chaos (NODE_OPTIONS=--import=…). Causes the faults that the file
// SRTCTL_CHAOS names in this process, as long as the file names them:
//   {"clock": {"agent": 3600000}}                          its wall clock is ahead by this many ms
//   {"messages": {"seed": 1, "lost": 0.1, "repeated": 0.1, "late": 0.2}}   shares of its messages on the bus
import { readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { basename } from 'node:path';
import { randomOf } from './random.mjs';

const LOOK_EVERY_MS = 50;
const LATE_MS = 300;
const kinds = { 'coordinator.js': 'coordinator', 'node-agent.js': 'agent', 'srtctl.js': 'command' };
const kind = kinds[basename(process.argv[1] ?? '')] ?? 'engine';
let aheadMs = 0;
let messages;
let random;

function look() {
  let told = {};
  try {
    told = JSON.parse(readFileSync(process.env.SRTCTL_CHAOS, 'utf8'));
  } catch {
    // The file does not exist (yet), so there is no fault.
  }
  aheadMs = told.clock?.[kind] ?? 0;
  if (told.messages && !messages) random = randomOf(told.messages.seed);
  messages = told.messages;
}
look();
setInterval(look, LOOK_EVERY_MS).unref();

const RealDate = Date;
const now = () => RealDate.now() + aheadMs;
globalThis.Date = new Proxy(RealDate, {
  get: (target, name) => (name === 'now' ? now : Reflect.get(target, name)),
  construct: (target, given, self) => Reflect.construct(target, given.length > 0 ? given : [now()], self),
  apply: () => new RealDate(now()).toString(),
});

const write = Socket.prototype.write;
const buses = new WeakSet();
Socket.prototype.write = function (data, ...rest) {
  if (data instanceof Uint8Array && Buffer.from(data.subarray(0, 9)).toString() === 'CONNECT {')
    buses.add(this);
  if (!messages || !buses.has(this) || !(data instanceof Uint8Array)) return write.call(this, data, ...rest);
  for (const frame of framesOf(Buffer.from(data))) {
    if (!frame.isMessage) write.call(this, frame.data);
    else say(this, frame.data);
  }
  const done = rest.find((each) => typeof each === 'function');
  if (done) setImmediate(done);
  return true;
};

function say(socket, data) {
  const { lost, repeated, late } = messages;
  if (random() < lost) return;
  const copies = random() < repeated ? 2 : 1;
  for (let copy = 0; copy < copies; copy++) {
    const say = () => socket.writable && write.call(socket, data);
    if (random() < late) setTimeout(say, random() * LATE_MS);
    else say();
  }
}

/** The commands of the NATS protocol in one write of the client, which contains whole commands. */
function framesOf(data) {
  const frames = [];
  for (let from = 0; from < data.length; ) {
    const end = data.indexOf('\r\n', from);
    const line = data.toString('latin1', from, end);
    const isMessage = /^H?PUB /.test(line);
    const to = end < 0 ? data.length : end + 2 + (isMessage ? Number(line.split(' ').at(-1)) + 2 : 0);
    frames.push({ isMessage, data: data.subarray(from, to) });
    from = to;
  }
  return frames;
}
