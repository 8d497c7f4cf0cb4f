/** One server-sent event. */
export interface SseEvent {
  /** Empty when the stream gave it no name. */
  readonly name: string;
  readonly data: string;
}

/**
 * The events of a whole stream. Written apart from the gateway's own reader, so that one mistake cannot hide in both.
 * Source: html.spec.whatwg.org, server-sent events.
 */
export function parseSse(text: string): { readonly events: readonly SseEvent[]; readonly rest: string } {
  const events: SseEvent[] = [];
  let name = '';
  let data: string[] = [];
  const lines = text.replace(/^\uFEFF/, '').split(/\r\n|\n|\r/);
  // What follows the last line break has not been said to its end.
  const rest = lines.pop() ?? '';
  for (const line of lines) {
    if (line === '') {
      if (data.length > 0) events.push({ name, data: data.join('\n') });
      name = '';
      data = [];
      continue;
    }
    const colon = line.indexOf(':');
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') name = value;
    else if (field === 'data') data.push(value);
  }
  return { events, rest: data.length > 0 || name !== '' ? `${name}${data.join('\n')}${rest}` : rest };
}
