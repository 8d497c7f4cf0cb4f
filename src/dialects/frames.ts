/** One server-sent event: its `event:` field (empty when there was none) and its data, lines joined by \n. */
export interface Frame {
  readonly name: string;
  readonly data: string;
}

export interface FrameReader {
  /** Takes the next bytes, split anywhere, and returns the frames that they complete. */
  push(chunk: Uint8Array): readonly Frame[];
  /** The bytes have ended. What stands unfinished is returned as a frame: a server may leave out the last blank line. */
  end(): readonly Frame[];
  /** True once a frame grew past the bound; nothing is read from then on. */
  readonly isOverflown: boolean;
}

/** The part of the platform's decoder that is used here: this room sees no platform. */
interface Decoder {
  decode(bytes?: Uint8Array, options?: { readonly stream?: boolean }): string;
}
declare const TextDecoder: new (label: 'utf-8') => Decoder;

/**
 * Splits a byte stream into server-sent events. Lines end with \n, \r\n or \r; a byte order mark at the start is passed over;
 * comments, `id` and `retry` are read and dropped; a frame without data is none.
 * @param frameUnitsMax - most UTF-16 units that one frame may hold, 1 or more; default 16 Mi
 * Source: html.spec.whatwg.org, server-sent events, 9.2.6.
 */
export function createFrameReader(frameUnitsMax = 16 * 1024 * 1024): FrameReader {
  const decoder = new TextDecoder('utf-8');
  /** Pieces of the line that is not finished. Joined once, when it is: adding to one string would copy it again and again. */
  let line: string[] = [];
  let name = '';
  let data: string[] = [];
  let heldUnits = 0;
  let isAfterCarriageReturn = false;
  let isOverflown = false;

  const endFrame = (frames: Frame[]) => {
    if (data.length > 0) frames.push({ name, data: data.join('\n') });
    name = '';
    data = [];
    heldUnits = 0;
  };

  const endLine = (text: string, frames: Frame[]) => {
    if (text === '') return endFrame(frames);
    const colon = text.indexOf(':');
    const field = colon === -1 ? text : text.slice(0, colon);
    const value = colon === -1 ? '' : text.slice(text[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (field === 'data') data.push(value);
    else if (field === 'event') name = value;
  };

  const takeLine = (tail: string): string => {
    if (line.length === 0) return tail;
    const text = line.join('') + tail;
    line = [];
    return text;
  };

  const read = (text: string, frames: Frame[]) => {
    let from = 0;
    if (isAfterCarriageReturn && text !== '') {
      if (text.startsWith('\n')) from = 1;
      isAfterCarriageReturn = false;
    }
    let feed = text.indexOf('\n', from);
    let carriage = text.indexOf('\r', from);
    while (feed !== -1 || carriage !== -1) {
      const isFeed = carriage === -1 || (feed !== -1 && feed < carriage);
      const to = isFeed ? feed : carriage;
      heldUnits += to - from;
      if (heldUnits > frameUnitsMax) break;
      endLine(takeLine(text.slice(from, to)), frames);
      from = to + 1;
      if (!isFeed) {
        if (from === text.length) isAfterCarriageReturn = true;
        else if (text[from] === '\n') from += 1;
      }
      if (feed !== -1 && feed < from) feed = text.indexOf('\n', from);
      if (carriage !== -1 && carriage < from) carriage = text.indexOf('\r', from);
    }
    if (heldUnits <= frameUnitsMax && from < text.length) {
      line.push(text.slice(from));
      heldUnits += text.length - from;
    }
    isOverflown = heldUnits > frameUnitsMax;
    if (isOverflown) [line, data] = [[], []];
  };

  return {
    push(chunk) {
      const frames: Frame[] = [];
      if (!isOverflown) read(decoder.decode(chunk, { stream: true }), frames);
      return frames;
    },
    end() {
      const frames: Frame[] = [];
      if (isOverflown) return frames;
      read(decoder.decode(), frames);
      endLine(takeLine(''), frames);
      endFrame(frames);
      return frames;
    },
    get isOverflown() {
      return isOverflown;
    },
  };
}
