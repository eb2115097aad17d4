/** Words of a `#SBATCH` line, split as sbatch does (Slurm's src/sbatch/opt.c, `_get_argument`). */
export function directiveWords(line: string): string[] {
  const words: string[] = [];
  let at = '#SBATCH'.length;
  while (at < line.length) {
    while (/\s/.test(line[at] ?? '')) at++;
    if (line[at] === undefined || line[at] === '#') break;
    let word = '';
    let quote = '';
    for (; at < line.length && (quote !== '' || !/\s/.test(line[at] ?? '')); at++) {
      const char = line[at] ?? '';
      if (char === '\\') word += line[++at] ?? '';
      else if (quote !== '') {
        if (char === quote) quote = '';
        else word += char;
      } else if (char === '"' || char === "'") quote = char;
      else word += char;
    }
    if (quote !== '') throw new Error(`a quote that does not end: ${line}`);
    words.push(word);
  }
  return words;
}

/**
 * The number of words in each line of a bash script, without lines inside quotes. Sufficient for srtctl's scripts,
 * which have no quotes inside double quotes.
 */
export function shapeOf(script: string): number[] {
  const lines: number[] = [];
  let words = 0;
  let inWord = false;
  for (let at = 0; at < script.length; at++) {
    const char = script[at] ?? '';
    if (char === '\n') {
      lines.push(words);
      words = 0;
      inWord = false;
    } else if (/[ \t\r]/.test(char)) inWord = false;
    else if (char === '#' && !inWord) {
      const end = script.indexOf('\n', at);
      const line = script.slice(at, end);
      if (line.startsWith('#SBATCH')) words += directiveWords(line).length;
      at = end - 1;
    } else {
      if (!inWord) words++;
      inWord = true;
      if (char === '\\') at++;
      else if (char === "'") at = closing(script, at, "'");
      else if (char === '"') {
        for (at++; script[at] !== '"'; at++) {
          if (script[at] === undefined) throw new Error('a quote that does not end');
          if (script[at] === '\\') at++;
        }
      }
    }
  }
  return lines;
}

function closing(text: string, from: number, quote: string): number {
  const at = text.indexOf(quote, from + 1);
  if (at < 0) throw new Error(`a quote that does not end: ${text.slice(from, from + 80)}`);
  return at;
}
