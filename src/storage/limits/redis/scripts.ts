import { createHash } from 'node:crypto';
import { Cluster } from 'ioredis';
import { reasonOf, type RedisClient } from './connect.ts';
import { ScriptCall } from './script-call.ts';

export interface Script {
  readonly text: string;
  readonly sha: string;
}

export const scriptOf = (text: string): Script => ({ text, sha: createHash('sha1').update(text).digest('hex') });

export type Evaluated =
  | { readonly kind: 'done'; readonly reply: unknown }
  | { readonly kind: 'failed'; readonly because: string };

export interface ScriptRunner {
  /** Never rejects. */
  evaluate(script: Script, keys: readonly string[], args: readonly (string | Buffer)[]): Promise<Evaluated>;
  /** Commands sent. */
  readonly operations: number;
  /** How often the server had forgotten a script, and was sent it again. */
  readonly sentAnew: number;
  /** Does something on the way not let scripts be called by their digest, so that each is sent whole? */
  readonly isSentWhole: boolean;
}

/**
 * Runs scripts by their digest, which the first run and a SCRIPT FLUSH teach the server anew. SCRIPT itself is never called:
 * some proxies block it. Where even EVALSHA is refused, every script is sent whole.
 */
export function createScriptRunner(client: RedisClient): ScriptRunner {
  const together = createCork(client);
  let [operations, sentAnew, isSentWhole] = [0, 0, false];
  const call = (
    name: 'evalsha' | 'eval',
    script: string,
    keys: readonly string[],
    args: readonly (string | Buffer)[],
  ): Promise<unknown> => {
    operations += 1;
    const sent = new ScriptCall(name, script, keys, args);
    void client.sendCommand(sent);
    return sent.promise;
  };
  const failed = (error: unknown): Evaluated => ({ kind: 'failed', because: reasonOf(error) });
  const answered = (reply: unknown): Evaluated => ({ kind: 'done', reply });
  return {
    evaluate(script, keys, args) {
      together();
      const whole = (): Promise<Evaluated> => call('eval', script.text, keys, args).then(answered, failed);
      if (isSentWhole) return whole();
      return call('evalsha', script.sha, keys, args).then(answered, (error: unknown) => {
        const message = error instanceof Error ? error.message : '';
        if (message.startsWith('NOSCRIPT')) sentAnew += 1;
        else if (/unknown command|NOPERM|not allowed|disabled/i.test(message)) isSentWhole = true;
        else return failed(error);
        return whole();
      });
    },
    get operations() {
      return operations;
    },
    get sentAnew() {
      return sentAnew;
    },
    get isSentWhole() {
      return isSentWhole;
    },
  };
}

/** What is sent in one turn of the event loop leaves in one write: a system call costs more than a command. */
function createCork(client: RedisClient): () => void {
  if (client instanceof Cluster) return () => undefined;
  let corked: typeof client.stream | null = null;
  return () => {
    const { stream } = client;
    if (corked !== null || stream === undefined) return;
    corked = stream;
    stream.cork();
    process.nextTick(() => {
      corked = null;
      stream.uncork();
    });
  };
}
