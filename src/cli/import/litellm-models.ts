/** What a row of LiteLLM's may call: these models, or all. */
export type Allowed = ReadonlySet<string> | 'all';

export interface KnownModels {
  /** Public names in the configuration's model_list. */
  readonly names: readonly string[];
  /** Names of the access groups that `model_info.access_groups` makes, with their models. */
  readonly groups: ReadonlyMap<string, readonly string[]>;
}

/**
 * Reads a `models` column. Nothing said is everything, but for a row that has access groups instead, whose models are not known
 * here; `all-team-models` takes nothing from what the team allows; a pattern such as `openai/*` and a group that the configuration
 * makes stand for the models that they match.
 */
export function readAllowed(
  {
    models,
    access_group_ids: groups = [],
  }: { readonly models: readonly string[]; readonly access_group_ids?: readonly string[] },
  known: KnownModels,
): Allowed {
  if (models.length === 0) return groups.length === 0 ? 'all' : new Set();
  if (models.some((model) => ALL.includes(model))) return 'all';
  return new Set(
    models.flatMap((model) => {
      if (model === 'no-default-models') return [];
      if (model.includes('*')) return known.names.filter((name) => matches(model, name));
      return known.groups.get(model) ?? [model];
    }),
  );
}

/** Both hold at once. */
export function bothAllow(one: Allowed, other: Allowed): Allowed {
  if (one === 'all') return other;
  return other === 'all' ? one : new Set([...one].filter((model) => other.has(model)));
}

const ALL: readonly string[] = ['all-team-models', 'all-proxy-models', '*'];

function matches(pattern: string, name: string): boolean {
  const parts = pattern.split('*').map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`));
  return new RegExp(`^${parts.join('.*')}$`).test(name);
}
