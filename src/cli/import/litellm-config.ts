import { parseDocument } from 'yaml';
import { z } from 'zod';
import { err, ok, type Result } from '#core/kernel';
import type { Leftovers } from './leftovers.ts';
import { readDeployment, type Deployment } from './litellm-deployment.ts';
import type { KnownModels } from './litellm-models.ts';

export interface LitellmConfig {
  readonly models: KnownModels;
  /** A fragment of our configuration file: pools, models and what of the settings has a counterpart. */
  readonly fragment: Fragment;
}

export interface Fragment {
  readonly pools: readonly Readonly<Record<string, unknown>>[];
  readonly models: readonly Readonly<Record<string, unknown>>[];
  readonly attempts?: { readonly max: number };
  readonly timeouts?: { readonly total_ms: number };
}

const settings = z
  .record(z.string(), z.unknown())
  .nullish()
  .transform((value) => value ?? {});
const fileSchema = z.looseObject({
  model_list: z
    .array(
      z.looseObject({
        model_name: z.string().min(1).max(128),
        litellm_params: z.looseObject({ model: z.string().min(1) }),
        model_info: settings,
      }),
    )
    .nullish()
    .transform((value) => value ?? []),
  general_settings: settings,
  litellm_settings: settings,
  router_settings: settings,
});
type File = z.infer<typeof fileSchema>;

/**
 * Reads a LiteLLM proxy configuration. A literal secret in it is reported by its place and goes nowhere.
 * @returns what our configuration would say, or why the file cannot be read
 */
export function readLitellmConfig(text: string, leftovers: Leftovers): Result<LitellmConfig, string> {
  const document = parseDocument(text);
  const [problem] = document.errors;
  if (problem !== undefined) return err(`line ${problem.linePos?.[0].line ?? '?'} is not YAML: ${problem.code}`);
  const parsed = fileSchema.safeParse(document.toJS() ?? {});
  if (!parsed.success) return err(parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '));
  const file = parsed.data;
  reportSections(file, leftovers);
  const deployments = file.model_list.flatMap((entry, at) => {
    const read = readDeployment(entry, leftovers);
    return read === null ? [] : [{ ...read, modelName: entry.model_name, at }];
  });
  return ok({
    models: { names: [...new Set(file.model_list.map((entry) => entry.model_name))], groups: readGroups(file) },
    fragment: { ...readSettings(file, leftovers), ...poolsAndModels(deployments, file, leftovers) },
  });
}

type Named = Deployment & { readonly modelName: string };

/** Deployments of one name that run the same thing are replicas of one pool; the others are further places of the model. */
function poolsAndModels(deployments: readonly Named[], file: File, leftovers: Leftovers): Pick<Fragment, 'pools' | 'models'> {
  const byModel = Map.groupBy(deployments, ({ modelName }) => modelName);
  const pools: Record<string, unknown>[] = [];
  const models: Record<string, unknown>[] = [];
  for (const [id, places] of byModel) {
    const serve: { pool: string; upstream_model: string }[] = [];
    for (const [first, ...rest] of Map.groupBy(places, (place) => `${place.dialect} ${place.upstreamModel}`).values()) {
      if (first === undefined) continue;
      const pool = uniquePool(poolName(id), pools);
      const replicas = [first, ...rest].map(({ url, key }, at) => ({
        id: `${pool}-${at + 1}`,
        url,
        ...(key === null ? {} : { key }),
      }));
      pools.push({ id: pool, dialect: first.dialect, replicas });
      serve.push({ pool, upstream_model: first.upstreamModel });
    }
    models.push({ id, serve, ...Object.assign({}, ...places.map(({ facts }) => facts)) });
  }
  for (const [alias, target] of aliases(file)) {
    const model = models.find(({ id }) => id === target);
    if (model === undefined)
      leftovers.left(`router_settings.model_group_alias.${alias}`, 'the model it stands for is not carried over');
    else models.push({ ...model, id: alias });
  }
  return { pools, models };
}

const poolName = (model: string): string => model.replaceAll(/[^A-Za-z0-9._-]/g, '-').replace(/^[^A-Za-z0-9]+/, '') || 'pool';

function uniquePool(id: string, pools: readonly Readonly<Record<string, unknown>>[]): string {
  let unique = id;
  for (let at = 2; pools.some((pool) => pool['id'] === unique); at++) unique = `${id}-${at}`;
  return unique;
}

function* aliases({ router_settings }: File): Generator<readonly [string, string]> {
  const said = router_settings['model_group_alias'];
  if (typeof said !== 'object' || said === null) return;
  for (const [alias, target] of Object.entries(said)) {
    const name: unknown = typeof target === 'object' && target !== null ? (target as { model?: unknown }).model : target;
    if (typeof name === 'string') yield [alias, name];
  }
}

function readGroups(file: File): KnownModels['groups'] {
  const groups = new Map<string, string[]>();
  for (const { model_name, model_info } of file.model_list)
    for (const group of Array.isArray(model_info['access_groups']) ? model_info['access_groups'] : [])
      groups.set(String(group), [...(groups.get(String(group)) ?? []), model_name]);
  return groups;
}

function readSettings({ router_settings: router, litellm_settings: library }: File, leftovers: Leftovers): Partial<Fragment> {
  const retries = router['num_retries'] ?? library['num_retries'];
  const timeout = router['timeout'] ?? library['request_timeout'];
  if (typeof timeout === 'number' && timeout > 86_400) leftovers.changed('timeout', 'a request may take a day at most');
  return {
    ...(typeof retries === 'number' && retries >= 0 ? { attempts: { max: Math.min(10, Math.floor(retries) + 1) } } : {}),
    ...(typeof timeout === 'number' && timeout > 0
      ? { timeouts: { total_ms: Math.min(86_400_000, Math.round(timeout * 1000)) } }
      : {}),
  };
}

/** Settings with a counterpart, or that need none. */
const UNDERSTOOD: Readonly<Record<string, readonly string[]>> = {
  general_settings: ['database_url'],
  litellm_settings: ['num_retries', 'request_timeout', 'drop_params', 'set_verbose', 'json_logs'],
  router_settings: ['model_group_alias', 'num_retries', 'timeout', 'enable_pre_call_checks'],
};

const REASONS: Readonly<Record<string, string>> = {
  master_key: 'use an admin key of this gateway; whoever calls models with the master key needs a key of their own',
  store_model_in_db: 'models that LiteLLM keeps in its database are not read; write them in the configuration',
  fallbacks: 'no model answers in place of another; give a model several pools instead',
  context_window_fallbacks: 'no model answers in place of another',
  content_policy_fallbacks: 'no model answers in place of another',
  default_fallbacks: 'no model answers in place of another',
  routing_strategy: 'the replica with the least open work is chosen',
  redis_host: 'name the shared store of limits under stores.limits',
  redis_url: 'name the shared store of limits under stores.limits',
  cache: 'answers are not cached',
  cache_params: 'answers are not cached',
  max_budget: 'there is no budget for everything together; set spend-month on each organization',
  budget_duration: 'there is no budget for everything together; set spend-month on each organization',
};

function reportSections(file: File, leftovers: Leftovers): void {
  for (const section of ['general_settings', 'litellm_settings', 'router_settings'] as const)
    for (const [name, value] of Object.entries(file[section]))
      if (value !== null && value !== false && !UNDERSTOOD[section]?.includes(name))
        leftovers.left(`${section}.${name}`, REASONS[name] ?? 'it has no counterpart');
  const { model_list: _, general_settings: __, litellm_settings: ___, router_settings: ____, ...others } = file;
  for (const name of Object.keys(others))
    leftovers.left(
      name,
      name === 'include'
        ? 'included files are not read: import each'
        : name === 'environment_variables'
          ? 'set them in the environment of the gateway'
          : 'it has no counterpart',
    );
}
