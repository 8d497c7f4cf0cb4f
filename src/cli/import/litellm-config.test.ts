import { expect, test } from 'vitest';
import { parseConfig } from '#runtime';
import { collectLeftovers, type Leftover } from './leftovers.ts';
import { readLitellmConfig, type LitellmConfig } from './litellm-config.ts';
import { renderFragment } from './render-fragment.ts';

function read(text: string): LitellmConfig & { readonly leftovers: readonly Leftover[] } {
  const leftovers = collectLeftovers();
  const config = readLitellmConfig(text, leftovers);
  if (!config.ok) throw new Error(config.error);
  return { ...config.value, leftovers: leftovers.list() };
}

const EXAMPLE = `
model_list:
  - model_name: gpt-4o
    litellm_params: { model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY, rpm: 480, timeout: 300 }
    model_info: { input_cost_per_token: 0.0000025, output_cost_per_token: 1e-5, max_input_tokens: 128000, access_groups: [beta] }
  - model_name: harbor
    litellm_params: { model: hosted_vllm/org/harbor-70b, api_base: "http://10.0.0.1:8000/v1/" }
  - model_name: harbor
    litellm_params: { model: hosted_vllm/org/harbor-70b, api_base: "http://10.0.0.2:8000/v1", api_key: none }
  - model_name: harbor
    litellm_params: { model: openai/harbor-fallback, api_base: "https://models.example.com/v1", api_key: sk-literal-secret }
  - model_name: claude
    litellm_params: { model: claude-sonnet-4-5, api_key: os.environ/ANTHROPIC_API_KEY }
  - model_name: on-azure
    litellm_params: { model: azure/gpt-4o-eu, api_base: "https://x.openai.azure.com", api_version: "2024-10-21" }
  - model_name: "anthropic/*"
    litellm_params: { model: "anthropic/*" }
  - model_name: embed
    litellm_params: { model: openai/text-embedding-3-small }
    model_info: { mode: embedding }
general_settings: { master_key: sk-1234, database_url: "postgresql://u:p@h/db", alerting: [slack] }
litellm_settings: { num_retries: 2, request_timeout: 60, drop_params: true, success_callback: [langfuse], fallbacks: [{ gpt-4o: [claude] }] }
router_settings: { routing_strategy: least-busy, model_group_alias: { gpt-4: gpt-4o, hidden: { model: claude, hidden: true }, lost: nowhere } }
environment_variables: { SECRET: hunter2 }
`;

test('a configuration becomes pools and models that this server can serve', () => {
  const { fragment } = read(EXAMPLE);
  const parsed = parseConfig(renderFragment(fragment));
  expect(parsed).toMatchObject({ ok: true });
  expect(fragment.pools).toEqual([
    {
      id: 'gpt-4o',
      dialect: 'openai',
      replicas: [{ id: 'gpt-4o-1', url: 'https://api.openai.com/v1', key: 'env:OPENAI_API_KEY' }],
    },
    {
      id: 'harbor',
      dialect: 'openai',
      replicas: [
        { id: 'harbor-1', url: 'http://10.0.0.1:8000/v1' },
        { id: 'harbor-2', url: 'http://10.0.0.2:8000/v1' },
      ],
    },
    {
      id: 'harbor-2',
      dialect: 'openai',
      replicas: [{ id: 'harbor-2-1', url: 'https://models.example.com/v1', key: 'env:HARBOR_KEY' }],
    },
    {
      id: 'claude',
      dialect: 'anthropic',
      replicas: [{ id: 'claude-1', url: 'https://api.anthropic.com', key: 'env:ANTHROPIC_API_KEY' }],
    },
  ]);
  expect(fragment.models).toMatchObject([
    {
      id: 'gpt-4o',
      serve: [{ pool: 'gpt-4o', upstream_model: 'gpt-4o' }],
      max_input_tokens: 128_000,
      price: { input: 2_500_000, output: 10_000_000 },
    },
    {
      id: 'harbor',
      serve: [
        { pool: 'harbor', upstream_model: 'org/harbor-70b' },
        { pool: 'harbor-2', upstream_model: 'harbor-fallback' },
      ],
    },
    { id: 'claude' },
    { id: 'gpt-4', serve: [{ pool: 'gpt-4o' }] },
    { id: 'hidden', serve: [{ pool: 'claude' }] },
  ]);
  expect(fragment).toMatchObject({ attempts: { max: 3 }, timeouts: { total_ms: 60_000 } });
});

test('what has no counterpart is listed with its reason, and no secret is in the list or the fragment', () => {
  const { fragment, leftovers } = read(EXAMPLE);
  expect(leftovers.flatMap(({ of }) => of)).toEqual(
    expect.arrayContaining([
      'model on-azure',
      'model anthropic/*',
      'model embed',
      'model gpt-4o',
      'model harbor',
      'general_settings.master_key',
      'general_settings.alerting',
      'litellm_settings.success_callback',
      'litellm_settings.fallbacks',
      'router_settings.routing_strategy',
      'router_settings.model_group_alias.lost',
      'environment_variables',
    ]),
  );
  expect(leftovers.every(({ because }) => because.length > 10)).toBe(true);
  expect(JSON.stringify([leftovers, fragment])).not.toMatch(/sk-1234|sk-literal|hunter2|u:p@h/);
});

test('names and access groups of models are known, so that patterns and groups of keys can be read', () => {
  const { models } = read(EXAMPLE);
  expect(models.names).toEqual(['gpt-4o', 'harbor', 'claude', 'on-azure', 'anthropic/*', 'embed']);
  expect([...models.groups]).toEqual([['beta', ['gpt-4o']]]);
});

test('names that make the same pool get pools of their own', () => {
  const { fragment } = read(`
model_list:
  - { model_name: a/b, litellm_params: { model: openai/x, api_base: "http://h:1" } }
  - { model_name: a-b, litellm_params: { model: openai/y, api_base: "http://h:2" } }
`);
  expect(fragment.pools.map(({ id }) => id)).toEqual(['a-b', 'a-b-2']);
  expect(parseConfig(renderFragment(fragment)).ok).toBe(true);
});

test.each([
  ['model_list: [', 'is not YAML'],
  ['model_list: [{ model_name: x }]', 'model_list.0.litellm_params'],
  ['model_list: sk-secret', 'model_list'],
])('%j is refused in words that hold no value of the file', (text, because) => {
  const config = readLitellmConfig(text, collectLeftovers());
  expect(config).toEqual({ ok: false, error: expect.stringContaining(because) });
  expect(JSON.stringify(config)).not.toContain('sk-secret');
});

test('an empty file is a configuration without models', () => {
  expect(read('').fragment).toEqual({ pools: [], models: [] });
});
