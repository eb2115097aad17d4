// Functions that print the results of all benches.
import { cpus } from 'node:os';

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The percentile of a list; the part is from 0 to 1. */
export const percentile = (values, part) =>
  values.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(part * values.length) - 1)];
export const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

export const milliseconds = (ms) => `${ms.toFixed(0)} ms`;
export const seconds = (ms) => `${(ms / 1000).toFixed(2)} s`;
export const machine = () => `node ${process.version}, ${cpus().length} × ${cpus()[0]?.model.trim()}`;

/** Prints rows of cells with these minimum widths; the last cell has its own width. */
export const table =
  (...widths) =>
  (...cells) =>
    console.log(
      cells
        .map((cell, index) => cell.padEnd(widths[index] ?? 0))
        .join(' ')
        .trimEnd(),
    );
