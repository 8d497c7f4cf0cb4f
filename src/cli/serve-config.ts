import type { Config } from '#contracts/config';
import { loadConfig } from '#runtime';
import { CannotStart } from './create-engines.ts';

export interface ServeConfigOptions {
  readonly config?: string;
  readonly port?: string;
  readonly data?: string;
}

/** The configuration that a server started here would have: the file, and what the environment and the command line override. */
export function readServeConfig(options: ServeConfigOptions, environment: Readonly<Record<string, string | undefined>>): Config {
  const named = options.config ?? environment['PLIMSOLL_CONFIG'];
  const loaded = loadConfig(named ?? './plimsoll.yaml', { isOptional: named === undefined });
  if (!loaded.ok)
    throw new CannotStart(
      [
        `${named ?? './plimsoll.yaml'} is not a configuration that can be served:`,
        ...loaded.error.map(
          ({ line, path: where, message }) =>
            `  ${line === null ? '' : `line ${line}: `}${where === '' ? '' : `${where}: `}${message}`,
        ),
      ].join('\n'),
    );
  const port = options.port ?? environment['PLIMSOLL_PORT'];
  const data = options.data ?? environment['PLIMSOLL_DATA'] ?? loaded.value.data;
  if (port === undefined) return { ...loaded.value, data };
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535)
    throw new CannotStart(`the port must be a number from 0 to 65535, not ${JSON.stringify(port)}`);
  return { ...loaded.value, data, listen: { ...loaded.value.listen, port: Number(port) } };
}
