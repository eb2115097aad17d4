/** A server-sent event. `name` is '' unless the stream names it. */
export interface ServerEvent {
  readonly name: string;
  readonly data: string;
  /** Text of the event's comments; Dynamo's frontend puts an error's text there. */
  readonly comment: string;
}

/**
 * Reads server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html) from bytes that
 * are cut anywhere, also inside a character and between CR and LF. Unlike a browser it reports a named event
 * without data, because Dynamo's frontend ends a failed answer with `event: error` and a comment.
 */
export function readEvents(onEvent: (event: ServerEvent) => void): (bytes: Uint8Array) => void {
  const decoder = new TextDecoder();
  let rest = '';
  let [name, data, comment] = ['', '', ''];
  let hasData = false;

  const readLine = (line: string): void => {
    if (line === '') {
      if (hasData || name !== '') onEvent({ name, data, comment });
      [name, data, comment] = ['', '', ''];
      hasData = false;
      return;
    }
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const from = line.charAt(colon + 1) === ' ' ? colon + 2 : colon + 1;
    const value = colon < 0 ? '' : line.slice(from);
    if (field === 'data') {
      data = hasData ? `${data}\n${value}` : value;
      hasData = true;
    } else if (field === 'event') name = value;
    else if (field === '' && name !== '') comment = comment === '' ? value : `${comment}\n${value}`;
  };

  return (bytes) => {
    const text = rest + decoder.decode(bytes, { stream: true });
    let from = 0;
    for (let at = endOfLine(text, 0); at >= 0; at = endOfLine(text, from)) {
      const isReturn = text.charCodeAt(at) === RETURN;
      // A CR at the end may be half of a line end.
      if (isReturn && at + 1 === text.length) break;
      readLine(text.slice(from, at));
      from = isReturn && text.charCodeAt(at + 1) === FEED ? at + 2 : at + 1;
    }
    rest = text.slice(from);
  };
}

const [FEED, RETURN] = [10, 13];

/** The first LF or CR at or after `from`; -1 without one. */
function endOfLine(text: string, from: number): number {
  const feed = text.indexOf('\n', from);
  const line = feed < 0 ? text.slice(from) : text.slice(from, feed);
  const back = line.indexOf('\r');
  return back < 0 ? feed : from + back;
}
