import { readFileSync } from 'node:fs';
import { type Command, InvalidArgumentError, Option } from 'commander';
import {
  createEngineServer,
  createSimulatedGenerator,
  type EngineServer,
  type ProfileName,
  PROFILES,
  type ScriptRule,
  scriptSchema,
} from '#engines';
import { createSystemClock, createSystemRandom } from '#runtime';
import { z } from 'zod';

const PROFILE_NAMES = Object.keys(PROFILES).filter((name): name is ProfileName => Object.hasOwn(PROFILES, name));

/** Registers `plimsoll sim`: stand-ins for things that are slow, costly or hard to break. */
export function registerSim(program: Command): void {
  const sim = program
    .command('sim')
    .description('simulated engines: behind a socket, so that any gateway can be tested against one');
  sim
    .command('engine')
    .description('serve a simulated engine that speaks a real dialect over HTTP')
    .option('--port <number>', 'port to listen on; 0 takes a free one', wholeNumber(65_535), 9101)
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .addOption(new Option('--dialect <dialect>', 'what it speaks').choices(['anthropic', 'openai']).default('anthropic'))
    .addOption(new Option('--profile <name>', 'how fast it is and how much it holds').choices(PROFILE_NAMES).default('small'))
    .option('--seed <number>', 'decides every word and every draw, together with the request', wholeNumber(2 ** 31 - 1), 1)
    .option('--script <file>', 'JSON file of rules: what it does wrong, and when (docs/simulated-engine.md)')
    .option('--model <name...>', 'names that GET /v1/models lists; any name is answered', ['simulated'])
    .option('--answer-tokens <number>', 'median length of answers that nothing else decides', wholeNumber(32_768), 96)
    .option('--json', 'print where it listens as one line of JSON')
    .addHelpText('after', HELP)
    .action(async (options: EngineOptions) => {
      const rules = readScript(options.script);
      if (typeof rules === 'string') return fail(rules);
      const server = await start(options, rules).catch((error: unknown) =>
        fail(error instanceof Error ? error.message : String(error)),
      );
      if (server === undefined) return;
      print(options, server);
      const stop = (): void => void server.close();
      process.once('SIGINT', stop);
      process.once('SIGTERM', stop);
    });
  sim
    .command('profiles')
    .description('list the profiles, where they come from and how far they are off')
    .option('--json', 'print them as JSON, with every number')
    .action(({ json }: { readonly json?: true }) => {
      if (json) console.log(JSON.stringify(PROFILES, null, 2));
      else for (const name of PROFILE_NAMES) console.log(describe(name));
    });
}

interface EngineOptions {
  readonly port: number;
  readonly host: string;
  readonly dialect: 'anthropic' | 'openai';
  readonly profile: ProfileName;
  readonly seed: number;
  readonly script?: string;
  readonly model: readonly string[];
  readonly answerTokens: number;
  readonly json?: true;
}

const HELP = `
Beside the dialect's paths it answers GET /v1/models, GET /health and GET /_/stats (what it was asked,
what it generated, and what it went on generating after a client had left).

Examples:
  plimsoll sim engine --port 9101 --model org/harbor-70b
  plimsoll sim engine --port 9102 --dialect openai --profile qwen3-32b-h100 --script broken.json
`;

function start(options: EngineOptions, rules: readonly ScriptRule[]): Promise<EngineServer> {
  const { dialect, host, port, seed, profile, answerTokens, model } = options;
  const clock = createSystemClock();
  const generator = createSimulatedGenerator({
    clock,
    seed,
    rules,
    profile: PROFILES[profile].profile,
    medianAnswerTokens: Math.max(1, answerTokens),
  });
  return createEngineServer({ generator, dialect, clock, random: createSystemRandom(), host, port, models: model });
}

/** The rules of a script file, or what is wrong with it. */
function readScript(file: string | undefined): readonly ScriptRule[] | string {
  if (file === undefined) return [];
  try {
    const parsed = scriptSchema.safeParse(JSON.parse(readFileSync(file, 'utf8')));
    return parsed.success ? parsed.data.rules : `${file} is not a script:\n${z.prettifyError(parsed.error)}`;
  } catch (error) {
    return `${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function print({ dialect, profile, seed, model, json }: EngineOptions, { url, port }: EngineServer): void {
  const fields = { url, port, dialect, profile, seed, models: model };
  console.log(
    json
      ? JSON.stringify(fields)
      : `A simulated engine (${profile}) speaks ${dialect} on ${url} (statistics: /_/stats). Ctrl-C stops it.`,
  );
}

function describe(name: ProfileName): string {
  const { about, source, fit } = PROFILES[name];
  const errors = Object.entries(fit ?? {}).map(
    ([figure, { medianRatio, p90Ratio }]) => `${figure} off by ${percent(medianRatio)} (median), ${percent(p90Ratio)} (p90)`,
  );
  return [
    `${name}: ${about}`,
    ...(source === null ? [] : [`  from ${source.origin} (${source.licence})`]),
    ...errors.map((line) => `  ${line}`),
  ].join('\n');
}

function percent(ratio: number): string {
  return `${(ratio * 100).toFixed(1)} %`;
}

function wholeNumber(max: number): (text: string) => number {
  return (text) => {
    if (!/^\d+$/.test(text) || Number(text) > max) throw new InvalidArgumentError(`It must be a whole number from 0 to ${max}.`);
    return Number(text);
  };
}

function fail(message: string): undefined {
  console.error(`plimsoll: ${message}`);
  process.exitCode = 2;
}
