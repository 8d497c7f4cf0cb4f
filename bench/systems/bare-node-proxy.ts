// The yardstick: node:http in front, undici's Pool.dispatch behind, and nothing else. What a gateway on Node costs above this is its own.
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { Pool } from 'undici';

const [, , port, upstream = ''] = process.argv;
const pool = new Pool(upstream, { connections: 4096, headersTimeout: 0, bodyTimeout: 0 });

const forwarded = ({ connection: _, 'keep-alive': __, 'transfer-encoding': ___, ...headers }: IncomingHttpHeaders) => headers;

const server = createServer({ noDelay: true, keepAliveTimeout: 60_000 }, (request, response) => {
  const pieces: Buffer[] = [];
  request.on('data', (piece: Buffer) => pieces.push(piece));
  request.on('end', () => {
    const { host: _, ...headers } = forwarded(request.headers);
    const body = pieces.length === 1 ? (pieces[0] ?? null) : Buffer.concat(pieces);
    pool.dispatch(
      { path: request.url ?? '/', method: 'POST', headers, body },
      {
        onRequestStart: (controller) =>
          response.once('close', () => !response.writableFinished && controller.abort(new Error('client gone'))),
        onResponseStart: (_controller, status, upstreamHeaders) => void response.writeHead(status, forwarded(upstreamHeaders)),
        onResponseData(controller, chunk) {
          if (response.write(chunk)) return;
          controller.pause();
          response.once('drain', () => controller.resume());
        },
        onResponseEnd: () => void response.end(),
        onResponseError: () => void response.destroy(),
      },
    );
  });
});
server.listen(Number(port), '127.0.0.1', 4096);
process.on('SIGTERM', () => process.exit(0));
