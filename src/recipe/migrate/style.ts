import type { Document } from 'yaml';

/** The text of a document in the style of the text that it comes from. */
export function writeLike(document: Document, text: string): string {
  const written = document.toString({
    lineWidth: 0,
    indent: indentOf(text),
    indentSeq: !/^( *)[^\s#-][^\n]*:[ \t]*(#[^\n]*)?\n\1- /m.test(text),
    flowCollectionPadding: /[{[] /.test(text),
  });
  return text.includes('\r\n') ? written.replaceAll(/\r?\n/g, '\r\n') : written;
}

/** The width of the first indented key below another one. */
function indentOf(text: string): number {
  const width = /^[^\s#][^\n]*:[ \t]*(?:#[^\n]*)?\n(?:[ \t]*(?:#[^\n]*)?\n)*( +)[^\s#-]/m.exec(text)?.[1]
    ?.length;
  return width !== undefined && width >= 1 && width <= 8 ? width : 2;
}
