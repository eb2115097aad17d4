const LIGHT = `color-scheme: light; --text: #1b1f24; --muted: #59636e; --line: #d5dae0; --surface: #ffffff;
  --page: #f4f6f8; --accent: #0067a5; --good: #00694e; --bad: #b3261e; --warn: #7a5600;`;
const DARK = `color-scheme: dark; --text: #e8ebef; --muted: #a3adb8; --line: #39414b; --surface: #171b21;
  --page: #0f1216; --accent: #5cb8f0; --good: #3fd0a4; --bad: #ff8a80; --warn: #f0c04a;`;

/** The page's style sheet. Colours have at least a contrast of 4.5 to 1 in both themes. */
export const STYLES = `
:root { ${LIGHT} }
:root[data-theme="dark"] { ${DARK} }
@media (prefers-color-scheme: dark) { :root:not([data-theme="light"]) { ${DARK} } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; }
body { margin: 0; background: var(--page); color: var(--text); font: 15px/1.5 system-ui, "Segoe UI", Roboto,
  "DejaVu Sans", sans-serif; }
header, main, footer { max-width: 1240px; margin: 0 auto; padding: 0 24px; }
header { padding-top: 24px; }
h1 { font-size: 26px; line-height: 1.25; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 20px; margin: 36px 0 12px; overflow-wrap: anywhere; }
h3 { font-size: 16px; margin: 0 0 4px; overflow-wrap: anywhere; }
p { margin: 4px 0 10px; }
a { color: var(--accent); }
.muted, .about, dt, caption { color: var(--muted); }
.about { font-size: 13.5px; max-width: 78ch; }
.bar { display: flex; gap: 12px; justify-content: space-between; align-items: flex-start; }
button { font: inherit; color: var(--text); background: var(--surface); border: 1px solid var(--line);
  border-radius: 6px; padding: 4px 12px; cursor: pointer; white-space: nowrap; }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: 4px 16px; margin: 12px 0 0; padding: 0; font-size: 14px; }
.card { background: var(--surface); border: 1px solid var(--line); border-radius: 10px; padding: 16px 18px; margin: 0 0 16px;
  min-width: 0; }
.grid { display: grid; gap: 16px; grid-template-columns: repeat(2, minmax(0, 1fr)); }
.grid > .card { margin: 0; }
.wide { grid-column: 1 / -1; }
.notice { border-left: 4px solid var(--warn); }
.notice.alarm { border-left-color: var(--bad); }
.good { color: var(--good); } .bad { color: var(--bad); } .warn { color: var(--warn); }
.numbers { display: flex; flex-wrap: wrap; gap: 4px 28px; margin: 8px 0 0; }
.numbers div { min-width: 90px; }
.numbers b { display: block; font-size: 21px; line-height: 1.3; font-variant-numeric: tabular-nums; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 2px 14px; margin: 8px 0; }
dd { margin: 0; overflow-wrap: anywhere; }
.scroll { overflow: auto; max-height: 560px; border: 1px solid var(--line); border-radius: 6px; }
table { border-collapse: collapse; width: 100%; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 10px; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th { position: sticky; top: 0; background: var(--surface); white-space: nowrap; font-weight: 600; }
td { overflow-wrap: break-word; max-width: 44em; }
td.number, th.number { text-align: right; white-space: nowrap; }
tr:last-child td { border-bottom: 0; }
tr.invalid td { color: var(--muted); }
summary { cursor: pointer; color: var(--accent); font-size: 14px; margin: 6px 0; }
pre { margin: 0; padding: 10px 12px; font: 12.5px/1.45 ui-monospace, "DejaVu Sans Mono", monospace; white-space: pre-wrap;
  overflow-wrap: anywhere; }
.plot { width: 100%; }
fieldset { border: 1px solid var(--line); border-radius: 6px; margin: 0 0 10px; padding: 6px 12px; display: grid;
  grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 8px 24px; }
label { display: block; font-size: 13.5px; } input[type=range] { width: 100%; accent-color: var(--accent); }
footer { padding: 24px; font-size: 13px; color: var(--muted); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
@media (max-width: 860px) { .grid, fieldset { grid-template-columns: minmax(0, 1fr); }
  header, main { padding-left: 12px; padding-right: 12px; } .card { padding: 12px; }
  dl { grid-template-columns: minmax(0, 1fr); } dt { margin-top: 6px; } }
@media print { :root, :root[data-theme="dark"], :root:not([data-theme="light"]) { ${LIGHT} }
  body { background: #fff; font-size: 11px; } button, nav, fieldset { display: none; }
  .card { break-inside: avoid; border-color: #bbb; } .scroll { max-height: none; overflow: visible; }
  .grid { grid-template-columns: minmax(0, 1fr); } }
`;
