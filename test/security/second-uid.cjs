// What another user of the machine tries against a job that runs: `node second-uid.cjs JOB-DIR OWNER-UID SECRET`. Prints
// how often each was tried, and what was got by it, as JSON. It knows what such a user can know: no key, no password.
const fs = require('node:fs');
const net = require('node:net');
const { join, basename } = require('node:path');

const [jobDir, ownerText, secret] = process.argv.slice(2);
const owner = Number(ownerText);
const job = basename(jobDir);
const SEED = /S[UAN][A-Z2-7]{56}/;
const report = {};

/** An attempt that is refused throws; what it returns is what was got. */
function attempt(name, act) {
  report[name] ??= { tried: 0, got: [] };
  report[name].tried++;
  try {
    const got = act();
    if (got !== undefined) report[name].got.push(String(got).slice(0, 300));
  } catch {
    // Refused.
  }
}

function below(directory) {
  let entries;
  try {
    entries = fs.readdirSync(directory, { withFileTypes: true });
  } catch {
    return [];
  }
  return entries.flatMap((entry) => {
    const path = join(directory, entry.name);
    return entry.isDirectory() && !entry.isSymbolicLink() ? [path, ...below(path)] : [path];
  });
}

const pids = fs.readdirSync('/proc').filter((name) => {
  try {
    return /^\d+$/.test(name) && fs.statSync(`/proc/${name}`).uid === owner;
  } catch {
    return false;
  }
});

function files() {
  const own = fs.readdirSync('/tmp').map((name) => join('/tmp', name));
  const homes = own.filter((path) => {
    try {
      return fs.lstatSync(path).uid === owner;
    } catch {
      return false;
    }
  });
  for (const path of ['connection.json', '.credentials', '.credentials/agent-node1.json'])
    attempt('read the keys', () => {
      const full = join(jobDir, path);
      return fs.statSync(full).isDirectory() ? fs.readdirSync(full) : fs.readFileSync(full, 'utf8');
    });
  for (const home of homes) {
    attempt('look into directories in /tmp', () => fs.readdirSync(home));
    for (const name of ['lifeline.json', 'ports.json', 'nats.conf', 'epoch'])
      attempt('read hand-over files', () => fs.readFileSync(join(home, name), 'utf8'));
    attempt(
      'put a link into directories in /tmp',
      () => fs.symlinkSync('/etc/passwd', join(home, 'link')) ?? home,
    );
    attempt(
      'put something in place of directories in /tmp',
      () => fs.renameSync(home, `${home}-gone`) ?? home,
    );
  }
  const all = [jobDir, ...below(jobDir)];
  for (const path of all) {
    let stat;
    try {
      stat = fs.lstatSync(path);
    } catch {
      continue;
    }
    if (stat.isDirectory()) {
      for (const name of ['srtctl-result.json', 'results_concurrency_2.json', 'result.json', 'x'])
        attempt(
          'put a file into the job’s directories',
          () => fs.writeFileSync(join(path, name), '{}') ?? name,
        );
      attempt(
        'put a link into the job’s directories',
        () => fs.symlinkSync('/etc/passwd', join(path, 'link')) ?? path,
      );
      attempt('make a directory in the job’s directories', () => fs.mkdirSync(join(path, 'd')) ?? path);
      continue;
    }
    attempt('find a secret in the job’s files', () => {
      const text = fs.readFileSync(path, 'latin1');
      return SEED.test(text) || text.includes(secret) ? path : undefined;
    });
    attempt('write the job’s files', () => {
      fs.closeSync(fs.openSync(path, 'r+'));
      return path;
    });
    attempt('replace the job’s files', () => {
      fs.renameSync(path, `${path}-gone`);
      fs.renameSync(`${path}-gone`, path);
      return path;
    });
    attempt('remove the job’s files', () => {
      fs.rmSync(path);
      return path;
    });
  }
}

function processes() {
  for (const pid of pids) {
    attempt('find a secret in command lines', () => {
      const text = fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1');
      return SEED.test(text) || text.includes(secret) ? text : undefined;
    });
    for (const file of ['environ', 'mem', 'maps'])
      attempt('read environments and memory', () => {
        const fd = fs.openSync(`/proc/${pid}/${file}`, 'r');
        const text = file === 'mem' ? 'opened' : fs.readFileSync(fd, 'latin1');
        return text === '' ? undefined : `${pid} ${file}`;
      });
    attempt('write memory', () => fs.openSync(`/proc/${pid}/mem`, 'r+'));
    attempt('use open files', () => fs.readdirSync(`/proc/${pid}/fd`).join() || undefined);
    attempt('write to standard input', () => fs.openSync(`/proc/${pid}/fd/0`, 'w'));
    for (const signal of [0, 'SIGUSR1', 'SIGSTOP', 'SIGTERM', 'SIGKILL'])
      attempt('send signals', () => process.kill(Number(pid), signal) && `${signal} to ${pid}`);
  }
}

/** Where processes of the owner listen, by the tables of the kernel. */
function listening() {
  const found = [];
  for (const line of fs.readFileSync('/proc/net/tcp', 'latin1').split('\n').slice(1)) {
    const [, local = '', , state, , , , uid] = line.trim().split(/\s+/);
    if (state !== '0A' || Number(uid) !== owner) continue;
    const [hex = '', port = ''] = local.split(':');
    const host = hex
      .match(/../g)
      .reverse()
      .map((byte) => Number.parseInt(byte, 16))
      .join('.');
    found.push({ host: host === '0.0.0.0' ? '127.0.0.1' : host, port: Number.parseInt(port, 16) });
  }
  return found;
}

/** What a nats-server says to `login` and `lines` in `ms`; undefined of a server that is none. */
function nats({ host, port }, login, lines, ms) {
  return new Promise((settle) => {
    let said = '';
    const socket = net.connect(port, host);
    const end = () => {
      socket.destroy();
      settle(said.startsWith('INFO ') ? said : undefined);
    };
    const timer = setTimeout(end, 700);
    socket.on('error', end).on('close', end);
    socket.on('data', (data) => {
      if (said === '') {
        clearTimeout(timer);
        setTimeout(end, ms);
        const options = {
          verbose: false,
          echo: false,
          pedantic: true,
          lang: 'x',
          version: '1',
          headers: true,
          no_responders: true,
          ...login,
        };
        socket.write(`CONNECT ${JSON.stringify(options)}\r\n${lines.join('\r\n')}\r\nPING\r\n`);
      }
      said += data;
    });
  });
}

/** `MSG SUBJECT SID [REPLY] SIZE` or `HMSG …`, and in the next line what it says. */
function messagesIn(said) {
  const lines = said.split('\r\n');
  return lines.flatMap((line, index) => {
    const [, subject] = /^H?MSG (\S+) /.exec(line) ?? [];
    return subject === undefined ? [] : [{ subject, body: lines[index + 1] ?? '' }];
  });
}

async function bus(witness) {
  const root = `srt.${job}`;
  const pub = (subject, body, reply = '') => {
    const text = JSON.stringify(body);
    return `PUB ${subject} ${reply === '' ? '' : `${reply} `}${Buffer.byteLength(text)}\r\n${text}`;
  };
  const spec = {
    ...{
      id: 'evil',
      role: 'step',
      phase: 'step',
      node: 'node1',
      argv: ['touch', witness],
      env: {},
      logFile: '/dev/null',
    },
    ...{ gpus: [], image: null, ports: {}, probe: { kind: 'running' }, critical: false, terminates: true },
    ...{ startTimeoutMs: 1000, graceMs: 1000, unhealthyAfterMs: 1000 },
  };
  const most = { v: 1, epoch: 1_000_000, generation: 1_000_000 };
  const orders = [
    pub(`${root}.agent.node1.desired`, { ...most, processes: [spec] }, '_INBOX.evil.1'),
    pub(`${root}.all.desired`, { ...most, end: true }),
    pub(`${root}.all.lease`, { ...most, lost: ['node1', 'node2'] }),
    pub(
      `${root}.agent.node1.hello`,
      {
        v: 1,
        node: 'node1',
        incarnation: 'x',
        pid: 1,
        address: '127.0.0.1',
        epoch: 1e6,
        generation: 0,
        processes: [],
      },
      '_INBOX.evil.2',
    ),
    pub(`${root}.agent.node1.clock`, { v: 1 }, '_INBOX.evil.3'),
    pub(`${root}.log.node1.prefill-0-0`, { v: 1, lines: 100 }, '_INBOX.evil.4'),
    pub(`${root}.process.node1.prefill-0-0.transition`, { kind: 'process.transition', v: 1, to: 'failed' }),
    pub(`${root}.point.0.result`, { kind: 'point.result', v: 1 }),
    pub(`${root}.control.cancel`, { v: 1, by: 'evil' }, '_INBOX.evil.5'),
    pub('$SYS.REQ.SERVER.PING', {}, '_INBOX.evil.6'),
    pub(`$JS.API.STREAM.INFO.SRT_${job}`, {}, '_INBOX.evil.7'),
    pub(`$JS.API.STREAM.DELETE.SRT_${job}`, {}, '_INBOX.evil.8'),
    pub('$JS.API.ACCOUNT.PURGE.SRT', {}, '_INBOX.evil.9'),
  ];
  const listen = ['SUB srt.> 1', 'SUB $SYS.> 2', 'SUB _INBOX.> 3', 'SUB _INBOX_agent_node1.> 4'];
  const servers = [];
  const places = listening();
  report['listening ports'] = { tried: places.length, got: [] };
  for (const place of places) {
    // As nobody, as an engine does: whatever is heard of the job's own messages, or done to them, was got.
    const heard = await nats(place, {}, [...listen, ...orders], 3_000);
    if (heard === undefined) continue;
    servers.push(place);
    const name = 'command the job over the bus without a login';
    report[name] ??= { tried: 0, got: [] };
    report[name].tried += orders.length;
    // Its own messages do not come back to it: what comes is the job's, an answer, or word that nobody listens (503).
    for (const { subject, body } of messagesIn(heard))
      if (!/"error"|^NATS\/1\.0 503/.test(body)) report[name].got.push(`${subject}: ${body}`.slice(0, 300));
    report['answers that refuse'] ??= { tried: 0, got: [] };
    report['answers that refuse'].tried += messagesIn(heard).length;
    const logins = [
      { user: 'srtctl', pass: 'srtctl' },
      { user: 'admin', pass: '' },
      { user: 'SYS', pass: 'SYS' },
      { auth_token: 'x' },
      { nkey: `U${'A'.repeat(55)}`, sig: 'AAAA' },
      { jwt: 'x', nkey: `U${'A'.repeat(55)}`, sig: 'AAAA' },
    ];
    for (const login of logins) {
      const said = (await nats(place, login, listen, 1_500)) ?? '';
      attempt('log in to the bus', () => (/-ERR/.test(said) ? undefined : JSON.stringify(login)));
    }
  }
  report['nats-servers'] = { tried: servers.length, got: [] };
}

/** Sockets with a path. Those of other users are not in reach, and those in reach are not the job's. */
async function sockets() {
  const name = 'connect to sockets of the job';
  report[name] = { tried: 0, got: [] };
  const paths = fs
    .readFileSync('/proc/net/unix', 'latin1')
    .split('\n')
    .map((line) => line.trim().split(/\s+/)[7]);
  for (const path of new Set(paths.filter((each) => each?.includes(job)))) {
    report[name].tried++;
    const opened = await new Promise((settle) => {
      const socket = net.connect(path, () => settle(true)).on('error', () => settle(false));
      setTimeout(() => settle(false), 500).unref();
      socket.unref();
    });
    if (opened) report[name].got.push(path);
  }
}

async function main() {
  await bus(join('/tmp', `srtctl-evil-${process.pid}`));
  attempt('have a program run', () =>
    fs.existsSync(join('/tmp', `srtctl-evil-${process.pid}`)) ? 'it ran' : undefined,
  );
  await sockets();
  files();
  processes();
  report.processes = { tried: pids.length, got: [] };
  console.log(JSON.stringify(report));
}

main();
