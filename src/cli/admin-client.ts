import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Option, type Command } from 'commander';
import { request } from 'undici';
import { z } from 'zod';
import { CannotStart } from './create-engines.ts';
import { readServeConfig } from './serve-config.ts';

/** Where a command finds the server and the key to operate it with. */
export interface AdminOptions {
  readonly config?: string;
  readonly data?: string;
  readonly url?: string;
  readonly adminKey?: string;
}

/** The admin API of a running server, as commands use it. */
export interface AdminClient {
  readonly url: string;
  /** @throws CannotStart when the server does not answer, or does not take the key */
  ask(method: 'GET' | 'POST' | 'PATCH' | 'PUT', route: string, body?: object): Promise<AdminAnswer>;
}

export type AdminAnswer =
  | { readonly kind: 'done'; readonly body: unknown }
  | { readonly kind: 'refused'; readonly status: number; readonly message: string }
  /** Nothing listens there. */
  | { readonly kind: 'nobody' };

/** Adds the options that {@link openAdminClient} reads. */
export function withAdminOptions(command: Command): Command {
  return withServerOptions(command.option('--config <file>', 'configuration file, as for serve'));
}

/** The same for a command that uses `--config` for something else: the configuration is then `$PLIMSOLL_CONFIG`, or the one here. */
export function withServerOptions(command: Command): Command {
  return command
    .option('--data <directory>', 'data directory, as for serve')
    .option('--url <url>', 'admin address of the server (default: where serve listens)')
    .addOption(
      new Option('--admin-key <key>', 'admin key (default: the first one of the data directory)').env('PLIMSOLL_ADMIN_KEY'),
    );
}

const TIMEOUT_MS = 15_000;

/** The server that the options name, or that `serve` would be with the same ones. */
export function openAdminClient(options: AdminOptions, environment: Readonly<Record<string, string | undefined>>): AdminClient {
  const config = readServeConfig(options, environment);
  const admin = config.listen.admin ?? config.listen;
  const url = (options.url ?? `http://${admin.host}:${admin.port}`).replace(/\/+$/, '');
  const key = options.adminKey ?? firstAdminKey(path.resolve(config.data));
  return {
    url,
    async ask(method, route, body) {
      let answer;
      try {
        answer = await request(`${url}${route}`, {
          method,
          headers: { ...(key === null ? {} : { 'x-api-key': key }), ...(body && { 'content-type': 'application/json' }) },
          ...(body && { body: JSON.stringify(body) }),
          headersTimeout: TIMEOUT_MS,
          bodyTimeout: TIMEOUT_MS,
        });
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED') return { kind: 'nobody' };
        throw new CannotStart(`the server at ${url} did not answer: ${error instanceof Error ? error.message : String(error)}`);
      }
      const parsed: unknown = await answer.body.json().catch(() => null);
      if (answer.statusCode === 401)
        throw new CannotStart(
          `the server at ${url} does not take this admin key; give one with --admin-key or PLIMSOLL_ADMIN_KEY`,
        );
      if (answer.statusCode < 300) return { kind: 'done', body: parsed };
      const said = problemSchema.safeParse(parsed);
      const message = said.success ? said.data.error.message : `it answered with status ${answer.statusCode}`;
      return { kind: 'refused', status: answer.statusCode, message };
    },
  };
}

/** What an answer holds, or its refusal as words for whoever ran the command. */
export function bodyOf(answer: AdminAnswer, client: AdminClient): unknown {
  if (answer.kind === 'nobody')
    throw new CannotStart(`nothing listens at ${client.url}; start it with plimsoll serve, or say where it is with --url`);
  if (answer.kind === 'refused') throw new CannotStart(answer.message);
  return answer.body;
}

const problemSchema = z.object({ error: z.object({ message: z.string() }) });

function firstAdminKey(dataDirectory: string): string | null {
  try {
    const parsed = z
      .object({ admin_key: z.string() })
      .safeParse(JSON.parse(readFileSync(path.join(dataDirectory, 'first-keys.json'), 'utf8')));
    return parsed.success ? parsed.data.admin_key : null;
  } catch {
    return null;
  }
}
