import type { IncomingMessage } from 'node:http';

/**
 * What makes the framing of a request ambiguous although Node's parser let it pass, in words for the client; null when it is
 * sound. A proxy before us or a server behind us may read such a request otherwise, and find a second one inside it.
 * Source: RFC 9112, sections 3.2 (Host), 6.1 and 6.3 (Transfer-Encoding, Content-Length).
 */
export function framingProblem({ httpVersion, headers, rawHeaders }: IncomingMessage): string | null {
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return 'only HTTP/1.1 is spoken here';
  const coding = headers['transfer-encoding'];
  if (coding !== undefined) {
    if (httpVersion !== '1.1') return 'transfer-encoding: not part of HTTP/1.0';
    if (coding.toLowerCase() !== 'chunked') return 'transfer-encoding: only chunked is understood, and only once';
    if (headers['content-length'] !== undefined) return 'content-length and transfer-encoding exclude each other';
  }
  let hosts = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    if (name.length === 4 && name.toLowerCase() === 'host') hosts++;
  }
  return hosts > 1 ? 'host: given more than once' : null;
}
