import type { DocumentPart, ImagePart, Json, JsonObject, Part } from '#contracts/prompt';
import { join, maybe, shown, type Fields } from '../fields.ts';
import { isList, present } from '../json.ts';
import { UNTITLED } from './carried-words.ts';

type Speaker = 'user' | 'assistant' | 'system' | 'tool';

/** What each speaker may say, by the `type` of the content part. */
const SAYABLE: { readonly [speaker in Speaker]: ReadonlySet<string> } = {
  user: new Set(['input_text', 'input_image', 'input_file']),
  assistant: new Set(['input_text', 'output_text', 'refusal']),
  system: new Set(['input_text']),
  tool: new Set(['input_text', 'input_image']),
};

/** A message's `content` or a tool's `output`: a string, or a list of parts. */
export function readContent(fields: Fields, value: Json | undefined, path: string, speaker: Speaker): readonly Part[] {
  if (typeof value === 'string') return [{ kind: 'text', text: value }];
  if (isList(value)) return value.flatMap((part, index) => readPart(fields, part, join(path, index), speaker));
  fields.problems.invalid(path, 'Expected a string or a list of content parts');
  return [];
}

function readPart(fields: Fields, value: Json, path: string, speaker: Speaker): readonly Part[] {
  const part = fields.object(value, path);
  const type = fields.text(part.type, join(path, 'type'));
  if (!SAYABLE[speaker].has(type)) {
    fields.problems.unsupported(
      join(path, 'type'),
      `Content of type "${shown(type)}" cannot be sent here in what the ${speaker} says`,
    );
    return [];
  }
  switch (type) {
    case 'input_image':
      return [readImage(fields, part, path)];
    case 'input_file':
      return [readDocument(fields, part, path)];
    case 'refusal':
      fields.known(part, path, REFUSAL_FIELDS);
      return [{ kind: 'refusal', text: fields.text(part.refusal, join(path, 'refusal')) }];
    default:
      fields.known(part, path, TEXT_FIELDS);
      return [{ kind: 'text', text: fields.text(part.text, join(path, 'text')) }];
  }
}

// Set aside: annotations and logprobs, which say where an earlier answer came from; `parsed`, which the official client adds to
// what it hands out, and people send back; and cache breakpoints, which are advice.
const TEXT_FIELDS = new Set(['type', 'text', 'annotations', 'logprobs', 'parsed', 'prompt_cache_breakpoint']);
const REFUSAL_FIELDS = new Set(['type', 'refusal', 'parsed']);
const IMAGE_FIELDS = new Set(['type', 'image_url', 'detail', 'prompt_cache_breakpoint']);
const FILE_FIELDS = new Set(['type', 'file_data', 'file_url', 'filename', 'detail', 'prompt_cache_breakpoint']);

/** `detail: auto` is what an absent detail means, and is read as that. */
function readImage(fields: Fields, part: JsonObject, path: string): ImagePart {
  refuseStoredFile(fields, part, path);
  fields.known(part, path, IMAGE_FIELDS);
  const at = join(path, 'image_url');
  const detail = maybe(part.detail, (word) => fields.word(word, join(path, 'detail'), ['auto', 'low', 'high', 'original']));
  return present({
    kind: 'image' as const,
    source: readSource(fields, fields.text(part.image_url, at), at),
    detail: detail === 'auto' ? undefined : detail,
  });
}

function readDocument(fields: Fields, part: JsonObject, path: string): DocumentPart {
  refuseStoredFile(fields, part, path);
  fields.known(part, path, FILE_FIELDS);
  const detail = maybe(part.detail, (word) => fields.word(word, join(path, 'detail'), ['auto', 'low', 'high']));
  if (detail !== undefined && detail !== 'auto')
    fields.problems.unsupported(join(path, 'detail'), 'Files are sent to this engine in one detail only');
  const title = maybe(part.filename, (name) => fields.text(name, join(path, 'filename')));
  const source = readFileSource(fields, part, path);
  return present({ kind: 'document' as const, source, title: title === UNTITLED ? undefined : title });
}

function readFileSource(fields: Fields, part: JsonObject, path: string): ImagePart['source'] {
  const url = maybe(part.file_url, (value) => fields.text(value, join(path, 'file_url')));
  const data = maybe(part.file_data, (value) => fields.text(value, join(path, 'file_data')));
  if ((url === undefined) === (data === undefined)) fields.problems.invalid(path, 'Expected either file_data or file_url');
  if (data === undefined) return { kind: 'url', url: url ?? '' };
  if (!data.startsWith(DATA_URL)) fields.problems.invalid(join(path, 'file_data'), `Expected ${DATA_URL_FORM}`);
  return readSource(fields, data, join(path, 'file_data'));
}

function refuseStoredFile(fields: Fields, part: JsonObject, path: string): void {
  if ((part.file_id ?? null) !== null)
    fields.problems.unsupported(join(path, 'file_id'), 'No files are kept here to name by id; send the data or a URL');
}

const DATA_URL = 'data:';
const BASE64 = ';base64';
const DATA_URL_FORM = 'a data URL in base64 (data:<media type>;base64,<data>)';

/** A URL, or the media type and base64 of a data URL. Cut by position: the data may be megabytes. */
function readSource(fields: Fields, url: string, path: string): ImagePart['source'] {
  if (!url.startsWith(DATA_URL)) return { kind: 'url', url };
  const comma = url.indexOf(',');
  const header = url.slice(DATA_URL.length, Math.max(comma, 0));
  if (comma < 0 || !header.endsWith(BASE64)) {
    fields.problems.invalid(path, `Expected a URL or ${DATA_URL_FORM}`);
    return { kind: 'url', url: '' };
  }
  return { kind: 'base64', mediaType: header.slice(0, -BASE64.length), data: url.slice(comma + 1) };
}
