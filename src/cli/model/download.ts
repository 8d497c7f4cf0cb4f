import type { Readable } from 'node:stream';
import { Agent, interceptors, request } from 'undici';
import { err, type Result } from '#core/kernel';

const REDIRECTS_MAX = 5;
const CONNECT_MS = 30_000;
/** Between two pieces of the answer. The whole may take as long as the line needs. */
const IDLE_MS = 60_000;
const ERROR_BODY_BYTES_MAX = 64 * 1024;

/** Hands the body of `url` to `use` as it arrives, with its length where the server says it. */
export async function download<T>(
  url: URL,
  use: (content: Readable, bytes: number | null) => Promise<Result<T, string>>,
  signal: AbortSignal,
): Promise<Result<T, string>> {
  const agent = new Agent({ connectTimeout: CONNECT_MS, headersTimeout: IDLE_MS, bodyTimeout: IDLE_MS });
  try {
    const dispatcher = agent.compose(interceptors.redirect({ maxRedirections: REDIRECTS_MAX }));
    const { statusCode, headers, body } = await request(url, { dispatcher, signal });
    if (statusCode !== 200) {
      await body.dump({ limit: ERROR_BODY_BYTES_MAX, signal });
      return err(`${url.origin} answered ${statusCode}`);
    }
    const length = Number(headers['content-length']);
    return await use(body, Number.isSafeInteger(length) ? length : null);
  } catch (error) {
    signal.throwIfAborted();
    return err(`${url.origin} could not be read: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    await agent.destroy();
  }
}
