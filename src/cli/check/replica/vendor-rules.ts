import type { IncomingMessage } from 'node:http';
import { checkVersion } from '#dialects';
import type { DialectName } from '../clients/client-dialect.ts';
import { NO_SUCH_MODEL } from '../no-such-model.ts';
import { parseJson } from '../json-value.ts';

interface Asked {
  readonly rawBody: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly dialect: DialectName;
  readonly upstreamKey: string | null;
}

/** What a vendor's API would refuse, so that a gateway may leave it to its upstream; null when it would answer. */
export function refuseAsVendor(
  { headers }: IncomingMessage,
  { rawBody, body, dialect, upstreamKey }: Asked,
): { readonly status: number; readonly message: string } | null {
  const key = headers['x-api-key']?.toString() ?? /^bearer (.+)$/i.exec(headers.authorization ?? '')?.[1];
  if (upstreamKey !== null && key !== upstreamKey) return { status: 401, message: 'invalid x-api-key' };
  if (headers['content-encoding'] !== undefined) return { status: 400, message: 'content-encoding is not supported' };
  if (dialect === 'anthropic' && rawBody.length > ANTHROPIC_BYTES_MAX)
    return { status: 413, message: 'Request exceeds the maximum size' };
  if (parseJson(rawBody) === undefined) return { status: 400, message: 'The body is not valid JSON.' };
  for (const field of REQUIRED[dialect]) if (!(field in body)) return { status: 400, message: `${field}: Field required` };
  if (String(body['model']).endsWith(NO_SUCH_MODEL)) return { status: 404, message: `model: ${String(body['model'])}` };
  if (dialect !== 'anthropic') return null;
  const version = headers['anthropic-version']?.toString();
  const broken = checkVersion(version, JSON.parse(rawBody) as Parameters<typeof checkVersion>[1]);
  return broken && { status: 400, message: broken.message };
}

const ANTHROPIC_BYTES_MAX = 32 * 1024 * 1024;

const REQUIRED: Readonly<Record<DialectName, readonly string[]>> = {
  anthropic: ['model', 'messages'],
  'openai-chat': ['model', 'messages'],
  'openai-responses': ['model', 'input'],
};
