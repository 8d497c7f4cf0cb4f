import { startLink, type Between, type Link } from './link.ts';

/** A Redis of which something in between has its own idea: what a wrong option, an upgrade or a bad clock make of a good server. */
export interface RedisBetween extends Link {
  readonly url: string;
  /** From now on every question whether a limit has room is put to the server, and answered with yes. */
  sayYes(isLying: boolean): void;
  /** What the limits' script takes for the time: the server's own, and so many µs. */
  stepClock(aheadUs: number): void;
  /** Whether a question came by since the clock was stepped. */
  readonly isStepped: () => boolean;
  /** Questions answered with yes that the server had answered with no. */
  readonly liesTold: () => number;
}

export async function startRedisBetween(serverPort: number): Promise<RedisBetween> {
  let isLying = false;
  let aheadUs: number | null = null;
  let lies = 0;
  let stepped = 0;
  const now = (): Buffer => Buffer.from(aheadUs === null ? '' : String(Date.now() * 1000 + aheadUs));

  const link = await startLink(serverPort, (): Between => {
    // Answers come in the order of the questions: for each, whether it asks for room.
    const asked: boolean[] = [];
    const commands = createSplitter();
    const replies = createSplitter();
    return {
      toServer: (bytes) =>
        Buffer.concat(
          commands(bytes).map((command) => {
            const call = readScriptCall(command);
            asked.push(call?.asksForRoom === true);
            if (call === null || aheadUs === null) return command;
            stepped++;
            return writeCommand(call.args.with(call.nowAt, now()));
          }),
        ),
      toClient: (bytes) =>
        Buffer.concat(
          replies(bytes).map((reply) => {
            const [refusal, refusedBy] = /^\*\d+\r\n:(-?\d+)\r\n:-?\d+\r\n/.exec(reply.toString('latin1')) ?? [];
            if (asked.shift() !== true || !isLying || refusal === undefined) return reply;
            if (refusedBy !== '-1') lies++;
            // Refused by nobody, and no wait; the rest is as the server said.
            const head = refusal.slice(0, refusal.indexOf('\r\n') + 2);
            return Buffer.concat([Buffer.from(`${head}:-1\r\n:0\r\n`), reply.subarray(refusal.length)]);
          }),
        ),
    };
  });
  return {
    ...link,
    url: `redis://127.0.0.1:${link.port}`,
    sayYes: (value) => void (isLying = value),
    stepClock: (value) => void (aheadUs = value),
    isStepped: () => stepped > 0,
    liesTold: () => lies,
  };
}

interface ScriptCall {
  readonly args: readonly Buffer[];
  /** Which of the arguments is the time. */
  readonly nowAt: number;
  readonly asksForRoom: boolean;
}

/** After its keys a beat has the time, a gateway and a life. */
const OF_A_BEAT = 3;

/** The call of a script of the limits, which after its keys has what is to be done, the time, and more; or a beat. */
function readScriptCall(command: Buffer): ScriptCall | null {
  const args = readCommand(command);
  if (!/^eval(sha)?$/i.test(args[0]?.toString() ?? '')) return null;
  const first = 3 + Number(args[2]?.toString());
  if (args.length === first + OF_A_BEAT) return { args, nowAt: first, asksForRoom: false };
  return { args, nowAt: first + 1, asksForRoom: args[first]?.toString().startsWith('take') === true };
}

/** Cuts a stream of RESP values into whole ones. */
function createSplitter(): (bytes: Buffer) => readonly Buffer[] {
  let rest: Buffer = Buffer.alloc(0);
  return (bytes) => {
    rest = Buffer.concat([rest, bytes]);
    const values: Buffer[] = [];
    for (let end = endOf(rest, 0); end !== -1; end = endOf(rest, 0)) {
      values.push(rest.subarray(0, end));
      rest = rest.subarray(end);
    }
    return values;
  };
}

/** Where the value that begins at `at` ends, or -1 when not all of it is there. */
function endOf(bytes: Buffer, at: number): number {
  const line = bytes.indexOf('\r\n', at);
  if (line === -1) return -1;
  const kind = String.fromCodePoint(bytes[at] ?? 0);
  const count = Number(bytes.toString('latin1', at + 1, line));
  let end = line + 2;
  if (kind === '$' && count >= 0) end += count + 2;
  if (kind === '*') for (let item = 0; item < count && end !== -1; item++) end = endOf(bytes, end);
  return end <= bytes.length ? end : -1;
}

function readCommand(command: Buffer): readonly Buffer[] {
  const args: Buffer[] = [];
  let at = command.indexOf('\r\n') + 2;
  while (at > 1 && at < command.length) {
    const line = command.indexOf('\r\n', at);
    const end = line + 2 + Number(command.toString('latin1', at + 1, line));
    args.push(command.subarray(line + 2, end));
    at = end + 2;
  }
  return args;
}

const writeCommand = (args: readonly Buffer[]): Buffer =>
  Buffer.concat([
    Buffer.from(`*${args.length}\r\n`),
    ...args.flatMap((arg) => [Buffer.from(`$${arg.length}\r\n`), arg, Buffer.from('\r\n')]),
  ]);
