import path from 'node:path';

export interface Banner {
  readonly address: { readonly host: string; readonly port: number; readonly adminPort: number | null };
  readonly models: readonly { readonly id: string; readonly displayName: string }[];
  readonly firstKeysPath: string;
  /** The first keys were made just now. */
  readonly isNew: boolean;
  /** Where SmolLM2's file would be, when it is not there and would be served by default. */
  readonly missingModel: string | null;
  readonly isJson: boolean;
}

/** How this very program is called: by its script in a clone, by its name from the package. */
const COMMAND = import.meta.url.endsWith('.ts') ? 'npm run plimsoll --' : 'npx plimsoll';

/** Says what is served, where the keys are (never the keys), and a line that works when it is pasted. */
export function printBanner({ address, models, firstKeysPath, isNew, missingModel, isJson }: Banner): void {
  const host = address.host === '0.0.0.0' || address.host === '::' ? '127.0.0.1' : address.host;
  const base = `http://${host.includes(':') ? `[${host}]` : host}:${address.port}`;
  if (isJson) {
    console.log(
      JSON.stringify({ url: base, admin_port: address.adminPort, models: models.map(({ id }) => id), first_keys: firstKeysPath }),
    );
    return;
  }
  const keys = path.relative(process.cwd(), firstKeysPath);
  const lines = [
    `Plimsoll serves on ${base}`,
    '',
    ...models.map(({ id, displayName }) => `  ${id.padEnd(20)} ${displayName}`),
    ...(missingModel === null
      ? []
      : [`  ${'smollm2'.padEnd(20)} not here yet; a real, small model: ${COMMAND} model pull smollm2`]),
    '',
    `Keys: ${keys}${isNew ? ' (made just now)' : ''}`,
    'Try it:',
    '',
    `  curl -sN ${base}/v1/messages -H "anthropic-version: 2023-06-01" -H "content-type: application/json" \\`,
    `    -H "x-api-key: $(sed -n 's/.*"api_key": "\\([^"]*\\)".*/\\1/p' ${shellQuote(keys)})" \\`,
    `    -d '{"model":"${models[0]?.id ?? 'MODEL'}","max_tokens":64,"stream":true,"messages":[{"role":"user","content":"Hello!"}]}'`,
    '',
  ];
  console.log(lines.join('\n'));
}

/** A path as a shell takes it, whatever is in it. */
const shellQuote = (text: string): string => (/^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`);
