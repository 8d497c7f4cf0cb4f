import { createEngineServer, createSimulatedGenerator, PROFILES, type EngineServer, type ScriptRule } from '#engines';
import { createSystemClock, createSystemRandom } from '#runtime';
import { onTestFinished } from 'vitest';
import { startGateway, type ConfigInput, type TestGateway } from '../gateway/kit/start-gateway.ts';

/** The dialects that an engine behind the gateway may speak. */
export const ENGINES = ['anthropic', 'openai'] as const;
export type EngineDialect = (typeof ENGINES)[number];

export const TOOL_ARGUMENTS = { city: 'São "Paulo"', days: 3 };
/** What the simulated engine does, by words of the question. */
const RULES: readonly ScriptRule[] = [
  {
    when: { contains: 'two tools' },
    do: [
      { kind: 'call_tool', name: 'weather', arguments: TOOL_ARGUMENTS },
      { kind: 'call_tool', name: 'clock', arguments: { city: '東京' } },
    ],
  },
  { when: { contains: 'feet' }, do: { kind: 'answer', text: 'Seven feet in summer. 七フィート。' } },
  { when: { contains: 'bad luck' }, do: { kind: 'break', after_tokens: 4 } },
  { when: { contains: 'wait for ever' }, do: { kind: 'stall', after_tokens: 2 } },
  { when: { contains: 'say nothing' }, do: { kind: 'stall', after_tokens: 0 } },
];
export const ANSWER = 'Seven feet in summer. 七フィート。';

/** A gateway in front of one simulated engine on a socket, which serves `harbor-1` and two models more. */
export async function startBeforeSimulated(
  dialect: EngineDialect,
  rest: Omit<ConfigInput, 'pools' | 'models'> = {},
): Promise<{ readonly served: TestGateway; readonly engine: EngineServer }> {
  const clock = createSystemClock();
  const generator = createSimulatedGenerator({
    clock,
    seed: 7,
    rules: RULES,
    profile: PROFILES.small.profile,
    medianAnswerTokens: 8,
  });
  const engine = await createEngineServer({ generator, dialect, clock, random: createSystemRandom(), port: 0 });
  onTestFinished(() => engine.close());
  const served = await startGateway({
    config: {
      ...rest,
      pools: [{ id: 'harbor', dialect, replicas: [{ id: 'sim', url: engine.url }] }],
      models: ['harbor-1', 'harbor-2', 'harbor-3'].map((id) => ({
        id,
        serve: [{ pool: 'harbor', upstream_model: 'org/harbor' }],
      })),
    },
  });
  return { served, engine };
}
