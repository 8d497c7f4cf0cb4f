import type { ServerResponse } from 'node:http';
import type { Fault, Script } from './script.ts';
import type { Frame, ReplicaWriter, WriterRequest } from './writer.ts';

interface Stage {
  readonly writer: ReplicaWriter;
  readonly outgoing: ServerResponse;
  readonly request: WriterRequest;
}

/** Answers one request as its script says. What a gateway that leaves makes of it is not the replica's to mind. */
export async function perform(script: Script, stage: Stage): Promise<void> {
  const { outgoing, writer } = stage;
  const { fault } = script;
  if (fault?.kind === 'http_error') {
    outgoing.writeHead(fault.status, { 'content-type': 'application/json', ...fault.headers });
    outgoing.end(JSON.stringify(writer.error(fault.status, fault.message)));
  } else if (fault?.kind === 'garbage') {
    outgoing.writeHead(200, { 'content-type': 'text/html' });
    outgoing.end('<html><body>Welcome to the replica of the check.</body></html>');
  } else if ((fault?.kind === 'stall' || fault?.kind === 'reset') && fault.at === 'before_head') {
    if (fault.kind === 'reset') outgoing.socket?.resetAndDestroy();
  } else if (stage.request.body['stream'] === true) await performStream(script, stage);
  else await performWhole(script, stage);
}

/** A whole answer has no pieces to count: a fault comes after half of its bytes, an error event becomes an error. */
async function performWhole({ answer, fault, beforePiece }: Script, { writer, outgoing, request }: Stage): Promise<void> {
  if (fault?.kind === 'error_event') {
    outgoing.writeHead(529, { 'content-type': 'application/json' });
    outgoing.end(JSON.stringify(writer.error(529, 'Overloaded')));
    return;
  }
  await beforePiece?.(0);
  const bytes = Buffer.from(JSON.stringify(writer.whole(answer, request)));
  const isShort = fault?.kind === 'stall' || fault?.kind === 'reset' || fault?.kind === 'cut';
  outgoing.writeHead(200, {
    'content-type': 'application/json',
    ...(fault?.kind === 'cut' ? {} : { 'content-length': String(bytes.length) }),
  });
  if (!isShort) {
    outgoing.end(bytes);
    return;
  }
  await written(outgoing, bytes.subarray(0, Math.ceil(bytes.length / 2)));
  await settled();
  if (fault.kind === 'reset') outgoing.socket?.resetAndDestroy();
  else if (fault.kind === 'cut') outgoing.end();
}

/** A reset takes back what the other side has not read yet: what was said before it is given time to be heard. */
const SETTLED_MS = 100;

function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, SETTLED_MS));
}

async function performStream(
  { answer, fault, delivery, beforePiece }: Script,
  { writer, outgoing, request }: Stage,
): Promise<void> {
  outgoing.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' });
  outgoing.flushHeaders();
  let pieces = 0;
  for (const frame of writer.stream(answer, request)) {
    if (outgoing.destroyed) return;
    if (isDue(fault, pieces, frame)) {
      if (pieces > 0) await settled();
      return strike(fault, outgoing, writer);
    }
    if (frame.isContent) {
      await beforePiece?.(pieces);
      pieces++;
    }
    const bytes = Buffer.from(frame.text);
    if (delivery === 'bytes') for (const byte of bytes) await written(outgoing, Buffer.of(byte));
    else await written(outgoing, bytes);
  }
  outgoing.end();
}

/** Faults strike right before the piece of content that would be one too many, and at the latest before the answer's end. */
function isDue(fault: Fault | undefined, pieces: number, frame: Frame): fault is Fault {
  if (fault === undefined || !('at' in fault || 'afterPieces' in fault)) return false;
  const after = 'afterPieces' in fault ? fault.afterPieces : fault.at === 'before_head' ? 0 : fault.at.afterPieces;
  return pieces >= after && (frame.isContent || pieces > 0);
}

function strike(fault: Fault, outgoing: ServerResponse, writer: ReplicaWriter): void {
  if (fault.kind === 'reset') outgoing.socket?.resetAndDestroy();
  else if (fault.kind === 'cut') outgoing.end();
  else if (fault.kind === 'error_event') outgoing.end(writer.errorEvent('The replica is overloaded.'));
}

/** A write that is in the kernel's hands. */
function written(outgoing: ServerResponse, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    outgoing.once('close', resolve);
    outgoing.write(bytes, () => {
      outgoing.off('close', resolve);
      resolve();
    });
  });
}
