import { type Command, InvalidArgumentError } from 'commander';
import { DIALECT_NAMES, type DialectName } from './check/clients/client-dialect.ts';
import { checkGateway } from './check/check-gateway.ts';

/** Registers `plimsoll check`. */
export function registerCheck(program: Command): void {
  program
    .command('check')
    .description('the conformance suite: find out how a gateway, ours or another, treats its clients')
    .argument('<url>', 'base URL of the gateway, without /v1: http://127.0.0.1:8787', gatewayUrl)
    .option('--key <key>', 'API key for the gateway (default: $PLIMSOLL_CHECK_KEY)')
    .option('--model <name>', 'model to ask; <dialect>=<name> for one dialect; may be repeated', collect, [])
    .option('--dialects <list>', `what it must speak, of ${DIALECT_NAMES.join(', ')} (default: what it does speak)`, dialects)
    .option('--header <header>', "sent with every request, 'name: value'; may be repeated", collect, [])
    .option('--behind', 'start a scripted replica to point the gateway at, and see both sides')
    .option('--behind-port <number>', 'port of the replica; 0 takes a free one', wholeNumber(65_535), 9310)
    .option('--behind-host <address>', 'address of the replica', '127.0.0.1')
    .option('--upstream-key <key>', 'key that the replica is to ask for (default: it takes any)')
    .option('--wait <seconds>', 'how long to wait until the gateway reaches the replica', wholeNumber(86_400), 120)
    .option('--only <list>', 'ids of checks, or their beginnings: abort,errors.unknown-model', list)
    .option('--sdks <list>', 'packages of official clients to run from here', list, ['@anthropic-ai/sdk', 'openai'])
    .option('--timeout <seconds>', 'longest wait for any one answer', wholeNumber(3_600), 15)
    .option('--json', 'print the report as one JSON object')
    .addHelpText('after', HELP)
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
    .action(async (url: string, options: Omit<CheckCommandOptions, 'url'>) => {
      process.exitCode = await checkGateway({ ...options, url, key: options.key ?? process.env['PLIMSOLL_CHECK_KEY'] ?? null });
    });
}

type CheckCommandOptions = Parameters<typeof checkGateway>[0];

const HELP = `
Marks: ✓ seen to hold, ✗ seen not to, ? could not be told (and what would settle it).
Exit codes: 0 all that could be told holds; 1 something does not; 2 the command line is wrong; 3 nothing could be told.

Examples:
  plimsoll check http://127.0.0.1:8787 --key "$KEY"
  plimsoll check http://127.0.0.1:8787 --key "$KEY" --behind --model check
  plimsoll check http://127.0.0.1:8788 --behind --model check --only broken,abort \\
      --header 'x-portkey-provider: anthropic' --header 'x-portkey-custom-host: http://127.0.0.1:9310/v1'
`;

function gatewayUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) throw new InvalidArgumentError('It must be an http:// or https:// URL.');
  if (url.username !== '' || url.password !== '') throw new InvalidArgumentError('Give the key with --key, not in the URL.');
  return text;
}

function dialects(text: string): readonly DialectName[] {
  return list(text).map((name) => {
    const found = DIALECT_NAMES.find((dialect) => dialect === name);
    if (found === undefined) throw new InvalidArgumentError(`${JSON.stringify(name)} is none of ${DIALECT_NAMES.join(', ')}.`);
    return found;
  });
}

function list(text: string): readonly string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

function wholeNumber(max: number): (text: string) => number {
  return (text) => {
    if (!/^\d+$/.test(text) || Number(text) > max) throw new InvalidArgumentError(`It must be a whole number from 0 to ${max}.`);
    return Number(text);
  };
}
