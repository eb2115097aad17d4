#!/usr/bin/env node
// Makes docs/run.svg: the live screen of `srtctl apply -f examples/quickstart.yaml --local --mock`, recorded on a
// pseudo-terminal of util-linux's `script`. Run it after `make build`: node scripts/picture.mjs
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const COMMAND = 'srtctl apply -f examples/quickstart.yaml --local --mock';
const [COLUMNS, ROWS] = [128, 30];
/** A frame is kept when this much time has passed since the last one. */
const APART_MS = 600;
/** The picture runs this much faster than the run. */
const SPEED = 2;
const HOLD_LAST_MS = 6_000;
const [CHARACTER, LINE, MARGIN] = [8.1, 18, 16];
const COLOURS = { 31: '#ff7b72', 32: '#7ee787', 33: '#e3b341', 36: '#79c0ff', 90: '#8b949e' };

const ESC = String.fromCharCode(27);
const SEQUENCE = new RegExp(`${ESC}\\[([0-9;?]*)([A-Za-z])`, 'g');
/** The live view puts these around each of its frames (src/cli/view/frames.ts). */
const [AT_ONCE, SHOWN] = [`${ESC}[?2026h`, `${ESC}[?2026l`];

async function record() {
  const outputs = mkdtempSync(join(tmpdir(), 'srtctl-picture-'));
  const run = `stty cols ${COLUMNS} rows ${ROWS}; exec node dist/${COMMAND.replace('srtctl', 'srtctl.js')}`;
  const child = spawn('script', ['-qfec', run, '/dev/null'], {
    cwd: root,
    env: { ...process.env, SRTCTL_OUTPUT: outputs, TERM: 'xterm-256color', NO_COLOR: undefined },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  /** The offset of each piece in the text, and its time. */
  const pieces = [];
  child.stdout.setEncoding('utf8').on('data', (data) => {
    pieces.push({ from: text.length, ms: performance.now() });
    text += data;
  });
  const [code] = await once(child, 'close');
  rmSync(outputs, { recursive: true, force: true });
  if (code !== 0) throw new Error(`the run ended with ${code}: ${text}`);
  return { text: text.replaceAll(`${outputs}/`, 'outputs/'), pieces };
}

/** The frames of the live view, and the screen at the end, each with its time since the first one. */
function framesOf({ text, pieces }) {
  const msAt = (position) => pieces.findLast(({ from }) => from <= position)?.ms ?? 0;
  const all = [...text.matchAll(new RegExp(`${escaped(AT_ONCE)}(.*?)${escaped(SHOWN)}`, 'gs'))].map(
    (match) => ({
      picture: match[1].trimEnd(),
      ms: msAt(match.index),
      end: match.index + match[0].length,
    }),
  );
  const last = all.at(-1);
  if (!last) throw new Error('the run has drawn nothing');
  const kept = all.filter(
    ({ ms }, at) => at === 0 || Math.floor(ms / APART_MS) > Math.floor(all[at - 1].ms / APART_MS),
  );
  kept.push({ picture: text.slice(last.end).trimEnd(), ms: last.ms + APART_MS });
  const [begin] = kept;
  return kept.map(({ picture, ms }) => ({
    lines: picture.replaceAll('\r', '').split('\n'),
    ms: ms - begin.ms,
  }));
}

const escaped = (text) => text.replace(/[[\]?]/g, '\\$&');

/** A line with its colours, as SVG. */
function spans(line) {
  let [colour, isBold, at] = ['', false, 0];
  let svg = '';
  const add = (text) => {
    if (text === '') return;
    const style = `${colour && ` fill="${colour}"`}${isBold ? ' font-weight="bold"' : ''}`;
    svg += style ? `<tspan${style}>${inXml(text)}</tspan>` : inXml(text);
  };
  for (const match of line.matchAll(SEQUENCE)) {
    add(line.slice(at, match.index));
    at = match.index + match[0].length;
    if (match[2] !== 'm') continue;
    for (const code of match[1].split(';').map(Number)) {
      if (code === 1 || code === 22) isBold = code === 1;
      else if (code === 0) [colour, isBold] = ['', false];
      else if (code === 39) colour = '';
      else colour = COLOURS[code] ?? colour;
    }
  }
  add(line.slice(at));
  return svg;
}

const inXml = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

function svgOf(frames) {
  const totalMs = frames.at(-1).ms / SPEED + HOLD_LAST_MS;
  const rows = Math.max(...frames.map(({ lines }) => lines.length)) + 2;
  const [width, height] = [Math.ceil(COLUMNS * CHARACTER + 2 * MARGIN), rows * LINE + 2 * MARGIN];
  const share = (ms) => ((100 * ms) / SPEED / totalMs).toFixed(2);
  const rules = frames.map(({ ms }, at) => {
    const [from, to] = [share(ms), at + 1 < frames.length ? share(frames[at + 1].ms) : '100'];
    const hidden = from === '0.00' ? '' : `0%{opacity:0}${from}%{opacity:1}`;
    const after = to === '100' ? '100%{opacity:1}' : `${to}%{opacity:0}100%{opacity:0}`;
    return `@keyframes f${at}{${hidden || '0%{opacity:1}'}${after}}.f${at}{animation-name:f${at}}`;
  });
  // Without animation (in print, for example) the last frame is shown.
  const groups = frames.map(({ lines }, at) => {
    const text = lines.map((line, row) =>
      line ? `<text x="${MARGIN}" y="${MARGIN + LINE * (row + 3)}">${spans(line)}</text>` : '',
    );
    return `<g class="f f${at}"${at + 1 < frames.length ? ' opacity="0"' : ''}>${text.join('')}</g>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">
<title>The live screen of ${COMMAND}</title>
<style>text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#e6edf3;white-space:pre}.f{animation:${(totalMs / 1000).toFixed(1)}s step-end infinite}${rules.join('')}</style>
<rect width="100%" height="100%" rx="8" fill="#0d1117"/>
<text x="${MARGIN}" y="${MARGIN + LINE}"><tspan fill="#8b949e">$</tspan> ${COMMAND}</text>
${groups.join('\n')}
</svg>
`;
}

const frames = framesOf(await record());
writeFileSync(join(root, 'docs/run.svg'), svgOf(frames));
process.stdout.write(`docs/run.svg: ${frames.length} frames\n`);
