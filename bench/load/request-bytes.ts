import type { Target } from './order.ts';

/** The bytes of a request, made once and written again and again. `tag` marks a request that the mock should report on. */
export function requestBytes(target: Target, tag: number | null = null): Buffer {
  const body = bodyOf(target, tag);
  const headers = { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)), ...target.headers };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`POST ${target.path} HTTP/1.1\r\nhost: 127.0.0.1:${target.port}\r\n${lines.join('')}\r\n${body}`);
}

function bodyOf(target: Target, tag: number | null): string {
  const build = (content: string): string =>
    JSON.stringify({
      model: target.model,
      max_tokens: 256,
      ...(target.isStream ? { stream: true } : {}),
      ...(target.endUser === undefined ? {} : { metadata: { user_id: target.endUser } }),
      messages: [{ role: 'user', content }],
    });
  const opening = tag === null ? '' : `bench-tag-${tag}; `;
  const pad = Math.max(1, target.bodyBytes - build(opening).length);
  return build(opening + 'lorem ipsum '.repeat(Math.ceil(pad / 12)).slice(0, pad));
}
