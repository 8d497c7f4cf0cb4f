import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AnswerEvent } from '#contracts/answer';
import type { Json } from '#contracts/prompt';
import type { Codec, WriterOptions } from './codec.ts';
import { createFrameReader, type Frame } from './frames.ts';
import { answers, anyJson, prompts, spoiled, wholeAnswers, type Sayable } from './sayable.conformance.ts';
import { answerEvents, collectAnswer } from './whole-answer.ts';

const options: WriterOptions = { model: 'm', includeUsage: true, createdAtS: 1_700_000_000 };

/**
 * The suite that every codec passes. Round trips hold for what `can` says the dialect can say; everything else holds for any input.
 * Call it at the top of the codec's test file.
 */
export function describeCodec(codec: Codec, can: Sayable): void {
  describe(`the ${codec.dialect} codec`, () => {
    describeRequests(codec, can);
    describeStreams(codec, can);
    describeWholeAnswers(codec, can);
    describeHostility(codec, can);
  });
}

function describeRequests(codec: Codec, can: Sayable): void {
  test('a prompt that is written and read again is the same prompt', () => {
    fc.assert(
      fc.property(prompts(can), (prompt) => {
        const written = codec.writeRequest(prompt);
        expect(written).toMatchObject({ ok: true });
        if (written.ok) expect(codec.readRequest(overTheWire(written.value))).toEqual({ ok: true, value: prompt });
      }),
    );
  });
}

function describeStreams(codec: Codec, can: Sayable): void {
  test('an answer that is streamed and read again is the same answer, delta by delta', () => {
    fc.assert(
      fc.property(answers(can), (events) => {
        const read = readStream(codec, writeStream(codec, events));
        expect(lawBroken(read)).toBeNull();
        expect(collectAnswer(read)).toEqual(collectAnswer(events));
        expect(deltas(read)).toEqual(deltas(events));
      }),
    );
  });

  test('any split of a stream into chunks gives the same events', () => {
    fc.assert(
      fc.property(answers(can), fc.array(fc.nat(4000), { maxLength: 12 }), (events, cuts) => {
        const bytes = new TextEncoder().encode(writeStream(codec, events));
        const at = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).toSorted((a, b) => a - b), bytes.length];
        const reader = createFrameReader();
        const frames = at.slice(1).flatMap((to, index) => reader.push(bytes.subarray(at[index], to)));
        expect(readFrames(codec, [...frames, ...reader.end()])).toEqual(readFrames(codec, framesOf(writeStream(codec, events))));
      }),
    );
  });

  test('a stream that is cut before its last frame never looks complete', () => {
    fc.assert(
      fc.property(answers(can), fc.nat(), (events, cut) => {
        const lines = writeStream(
          codec,
          events.filter((event) => event.kind !== 'end' && event.kind !== 'stop'),
        );
        const frames = framesOf(lines);
        const read = readFrames(codec, frames.slice(0, cut % (frames.length + 1)));
        expect(read.at(-1)).toMatchObject({ kind: 'error', error: { status: 502 } });
        expect(lawBroken(read)).toBeNull();
      }),
    );
  });

  test.each([400, 401, 403, 404, 413, 429, 500, 504, 529])(
    'an error of status %i in a stream is read as that error, and ends it',
    (status) => {
      const error: AnswerEvent = { kind: 'error', error: { status, type: 'whatever', message: 'Words for people.' } };
      const text = writeStream(codec, [{ kind: 'start', id: 'a', model: 'm', usage: {} }, error]);
      const read = readStream(codec, `${text}${text}`);
      expect(read.at(-1)).toMatchObject({ kind: 'error', error: { status, message: 'Words for people.' } });
      expect(lawBroken(read)).toBeNull();
    },
  );

  test('a ping may come at any time and changes nothing', () => {
    fc.assert(
      fc.property(answers(can), fc.nat(), (events, at) => {
        const place = 1 + (at % (events.length - 1));
        const read = readStream(codec, writeStream(codec, [...events.slice(0, place), { kind: 'ping' }, ...events.slice(place)]));
        expect(collectAnswer(read)).toEqual(collectAnswer(events));
      }),
    );
  });
}

function describeWholeAnswers(codec: Codec, can: Sayable): void {
  test('a whole answer that is written and read again is the same answer', () => {
    fc.assert(
      fc.property(wholeAnswers(can), (whole) => {
        const read = codec.readAnswer(overTheWire(codec.writeAnswer(answerEvents(whole), options)));
        expect(read).toMatchObject({ ok: true });
        if (!read.ok) return;
        expect(lawBroken(read.value)).toBeNull();
        expect(collectAnswer(read.value)).toEqual(whole);
      }),
    );
  });

  test('a stream and a whole answer of the same events agree', () => {
    fc.assert(
      fc.property(answers(can), (events) => {
        const whole = codec.readAnswer(overTheWire(codec.writeAnswer(events, options)));
        expect(whole).toMatchObject({ ok: true });
        if (whole.ok) expect(collectAnswer(whole.value)).toEqual(collectAnswer(readStream(codec, writeStream(codec, events))));
      }),
    );
  });
}

function describeHostility(codec: Codec, can: Sayable): void {
  test('any JSON, also nearly a request, is read or refused, never thrown at', () => {
    const nearly = prompts(can).chain((prompt) => {
      const written = codec.writeRequest(prompt);
      return written.ok ? spoiled(overTheWire(written.value)) : anyJson;
    });
    fc.assert(
      fc.property(fc.oneof(nearly, anyJson), (body) => {
        const read = codec.readRequest(body);
        if (!read.ok) expect(['invalid_request', 'unsupported_by_engine']).toContain(read.error.code);
        // What a dialect reads it can write again, or says why not.
        if (read.ok) codec.writeRequest(read.value);
        expect(Object.prototype).not.toHaveProperty('polluted');
      }),
    );
  });

  test('any JSON, also nearly an answer, is read or refused, never thrown at', () => {
    const nearly = wholeAnswers(can).chain((whole) => spoiled(overTheWire(codec.writeAnswer(answerEvents(whole), options))));
    fc.assert(
      fc.property(fc.oneof(nearly, anyJson), (body) => {
        const read = codec.readAnswer(body);
        if (read.ok) expect(lawBroken(read.value)).toBeNull();
        else expect(read.error.code).toBe('upstream_broken');
      }),
    );
  });

  test('any frames, also spoiled, doubled, lost and out of order, keep the laws of events', () => {
    const nearly = answers(can).chain((events): fc.Arbitrary<readonly Frame[]> => {
      const frames = framesOf(writeStream(codec, events));
      const one = fc
        .constantFrom(...frames)
        .chain((frame) =>
          fc.oneof(
            { weight: 4, arbitrary: fc.constant(frame) },
            { weight: 1, arbitrary: spoiledFrame(frame) },
            { weight: 1, arbitrary: fc.record({ name: fc.constant(frame.name), data: fc.string() }) },
          ),
        );
      return fc.oneof(
        fc.array(one, { maxLength: 12 }),
        fc.tuple(fc.shuffledSubarray([...frames]), fc.constant(frames)).map(([some, all]) => [...all.slice(0, 3), ...some]),
      );
    });
    fc.assert(
      fc.property(nearly, (frames) => {
        expect(lawBroken(readFrames(codec, frames))).toBeNull();
      }),
    );
  });

  test('a field named __proto__ reaches nobody', () => {
    const body = JSON.parse(
      '{"__proto__":{"polluted":1},"model":"m","messages":[{"role":"user","content":"x","__proto__":{"polluted":1}}]}',
    ) as Json;
    codec.readRequest(body);
    codec.readAnswer(body);
    expect({}).not.toHaveProperty('polluted');
  });
}

function spoiledFrame(frame: Frame): fc.Arbitrary<Frame> {
  const parsed = parse(frame.data);
  return (parsed === undefined ? anyJson : spoiled(parsed)).map((data) => ({ name: frame.name, data: JSON.stringify(data) }));
}

function parse(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

/** What arrives on the other side of a wire: absent keys stay absent, nothing is shared. */
function overTheWire(body: Json): Json {
  return JSON.parse(JSON.stringify(body)) as Json;
}

/** The text of an event sequence in a codec's dialect. */
export function writeStream(codec: Codec, events: readonly AnswerEvent[]): string {
  const writer = codec.createEventWriter(options);
  return events.map((event) => writer.write(event)).join('');
}

/** The frames of a stream's text. */
function framesOf(text: string): readonly Frame[] {
  const reader = createFrameReader();
  return [...reader.push(new TextEncoder().encode(text)), ...reader.end()];
}

/** The events of a stream's text in a codec's dialect. */
export function readStream(codec: Codec, text: string): readonly AnswerEvent[] {
  return readFrames(codec, framesOf(text));
}

function readFrames(codec: Codec, frames: readonly Frame[]): readonly AnswerEvent[] {
  const reader = codec.createEventReader();
  return [...frames.flatMap((frame) => reader.read(frame.name, frame.data)), ...reader.end()];
}

function deltas(events: readonly AnswerEvent[]): readonly AnswerEvent[] {
  return events.filter((event) => event.kind === 'delta');
}

/** Which law of contracts/answer.ts a complete sequence breaks; null when it keeps them all. */
export function lawBroken(events: readonly AnswerEvent[]): string | null {
  let blocks = 0;
  let isOpen = false;
  let hasStopped = false;
  const [first] = events;
  const last = events.at(-1);
  if (last?.kind !== 'end' && last?.kind !== 'error') return 'it does not end';
  for (const [position, event] of events.entries()) {
    if (event.kind === 'error' || event.kind === 'end') {
      if (position !== events.length - 1) return `something follows ${event.kind}`;
      if (event.kind === 'end' && !hasStopped) return 'it ends without a stop';
      continue;
    }
    if (first?.kind !== 'start' || (event.kind === 'start') !== (position === 0)) return 'it does not begin with its only start';
    if (hasStopped && event.kind !== 'usage' && event.kind !== 'ping') return `${event.kind} follows the stop`;
    if (event.kind === 'block_start') {
      if (isOpen || event.index !== blocks) return 'blocks overlap or are not numbered from 0';
      isOpen = true;
    }
    if (event.kind === 'delta' && (!isOpen || event.index !== blocks)) return 'a delta stands outside its block';
    if (event.kind === 'block_end') {
      if (!isOpen || event.index !== blocks) return 'a block ends that is not open';
      isOpen = false;
      blocks += 1;
    }
    if (event.kind === 'stop') {
      if (isOpen) return 'it stops inside a block';
      hasStopped = true;
    }
  }
  return null;
}
