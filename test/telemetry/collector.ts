import { createServer, type IncomingHttpHeaders, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { onTestFinished } from 'vitest';

/** A collector of OTLP over HTTP on a real loopback socket. It keeps what it was sent, as JSON, and answers as a test tells it to. */
export interface Collector {
  readonly endpoint: string;
  readonly port: number;
  readonly spans: readonly OtlpSpan[];
  readonly metrics: readonly OtlpMetric[];
  /** Requests that have come, whole or not. */
  readonly requests: () => number;
  readonly headers: readonly IncomingHttpHeaders[];
  /** Connections open now. */
  readonly connections: () => number;
  readonly resources: readonly Readonly<Record<string, unknown>>[];
  behave(behavior: Behavior): void;
  close(): Promise<void>;
}
type Behavior = 'take' | 'hang' | 'drip' | 'fail';

export interface OtlpSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}
export interface OtlpMetric {
  readonly name: string;
  readonly unit: string;
  readonly histogram: {
    readonly aggregationTemporality: number;
    readonly dataPoints: readonly {
      readonly count: number | string;
      readonly sum: number;
      readonly explicitBounds: readonly number[];
      readonly bucketCounts: readonly (number | string)[];
    }[];
  };
}

export async function startCollector(first: Behavior = 'take', port = 0): Promise<Collector> {
  const spans: OtlpSpan[] = [];
  const metrics: OtlpMetric[] = [];
  const resources: Readonly<Record<string, unknown>>[] = [];
  let behavior = first;
  const headers: IncomingHttpHeaders[] = [];
  const take = (path: string, body: string): void => {
    if (path === '/v1/traces')
      for (const { resource, scopeSpans } of (JSON.parse(body) as Traces).resourceSpans) {
        resources.push(plain(resource.attributes));
        for (const scope of scopeSpans)
          spans.push(...scope.spans.map((span) => ({ ...span, attributes: plain(span.attributes) })));
      }
    else
      for (const { scopeMetrics } of (JSON.parse(body) as Metrics).resourceMetrics)
        for (const scope of scopeMetrics) metrics.push(...scope.metrics);
  };
  const server = createServer((incoming, outgoing) => {
    headers.push(incoming.headers);
    void bodyOf(incoming).then((body) => {
      if (behavior === 'take') take(incoming.url ?? '', body);
      answer(behavior, outgoing);
    });
  });
  let connections = 0;
  server.on('connection', (socket) => {
    connections++;
    socket.on('close', () => connections--);
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const close = () => closeServer(server);
  onTestFinished(close);
  const { port: bound } = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${bound}`,
    port: bound,
    spans,
    metrics,
    resources,
    requests: () => headers.length,
    headers,
    connections: () => connections,
    behave(next) {
      behavior = next;
    },
    close,
  };
}

function answer(behavior: Behavior, outgoing: ServerResponse): void {
  switch (behavior) {
    case 'take':
      outgoing.writeHead(200, { 'content-type': 'application/json' }).end('{}');
      return;
    case 'fail':
      outgoing.writeHead(400, { 'content-type': 'text/plain' }).end('no');
      return;
    case 'drip': {
      // Never silent for long enough to time out, never done.
      outgoing.writeHead(200, { 'content-type': 'application/json' });
      const timer = setInterval(() => outgoing.write(' '), 20);
      outgoing.on('close', () => clearInterval(timer));
      return;
    }
    case 'hang':
      return;
  }
}

async function bodyOf(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  const bytes = Buffer.concat(chunks);
  return (incoming.headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes).toString('utf8');
}

async function closeServer(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise<void>((resolve) => server.close(() => resolve()));
}

interface Attribute {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}
interface Traces {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] };
    readonly scopeSpans: readonly {
      readonly spans: readonly (Omit<OtlpSpan, 'attributes'> & { readonly attributes: readonly Attribute[] })[];
    }[];
  }[];
}
interface Metrics {
  readonly resourceMetrics: readonly { readonly scopeMetrics: readonly { readonly metrics: readonly OtlpMetric[] }[] }[];
}

/** OTLP wraps every value in the name of its type; integers are numbers or decimal strings. */
const plain = (attributes: readonly Attribute[]): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    attributes.map(({ key, value }) => [key, 'intValue' in value ? Number(value['intValue']) : Object.values(value)[0]]),
  );
