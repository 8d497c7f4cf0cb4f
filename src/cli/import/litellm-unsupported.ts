import type { Leftovers } from './leftovers.ts';
import type { KeyRow, TeamRow } from './litellm-tables.ts';

/** Says of a key what of it has no counterpart here. */
export function reportKey(row: KeyRow, name: string, leftovers: Leftovers): void {
  const report = (isSaid: boolean, because: string): void => {
    if (isSaid) leftovers.left(name, because);
  };
  report(
    isFilled(row.aliases),
    'aliases: another model under the name that a client asks for; give the model a second id in the configuration',
  );
  report(isFilled(row.permissions) || isFilled(row.config), 'permissions and config of a single key have no counterpart');
  report(isFilled(row.router_settings), 'router_settings of a single key have no counterpart');
  report(row.project_id !== null, 'project_id: the limits of projects are not carried over');
  report(row.auto_rotate, 'auto_rotate: rotate with plimsoll key rotate');
  report(
    row.allowed_routes.some((route) => route !== MODEL_ROUTES),
    'allowed_routes: a key here may call every client path for its models',
  );
  reportCommon(row, name, leftovers);
  if (row.blocked) leftovers.changed(name, 'a blocked key became a revoked one, which cannot be revoked back');
}

/** Says of a team what of it has no counterpart here. */
export function reportTeam(row: TeamRow, name: string, leftovers: Leftovers): void {
  if (row.soft_budget !== null) leftovers.left(name, 'soft_budget: warnings are said per tier here');
  if (row.model_id !== null) leftovers.left(name, 'model aliases of a team have no counterpart');
  reportCommon(row, name, leftovers);
  if (row.blocked) leftovers.changed(name, 'a blocked team became a closed workspace');
}

/** Whether a key may call models at all: LiteLLM also has keys that only manage. */
export function callsModels({ allowed_routes }: KeyRow): boolean {
  return !(allowed_routes.length > 0 && allowed_routes.every((route) => MANAGING_ROUTES.includes(route)));
}

const MODEL_ROUTES = 'llm_api_routes';
const MANAGING_ROUTES: readonly string[] = ['management_routes', 'info_routes'];

/** What LiteLLM keeps in `metadata` and acts upon. */
const METADATA: Readonly<Record<string, string>> = {
  model_rpm_limit: 'limits for single models',
  model_tpm_limit: 'limits for single models',
  guardrails: 'guardrails',
  policies: 'guardrails',
  tags: 'tags',
  enforced_params: 'parameters that every request must have',
  allowed_cache_controls: 'cache controls',
  temp_budget_increase: 'a budget raised for a time',
  team_member_budget_id: 'budgets of single members',
};

function reportCommon(
  row: Pick<KeyRow, 'metadata' | 'model_max_budget' | 'access_group_ids'>,
  name: string,
  leftovers: Leftovers,
): void {
  if (isFilled(row.model_max_budget)) leftovers.left(name, 'model_max_budget: there are no budgets for single models');
  if (row.access_group_ids.length > 0)
    leftovers.changed(
      name,
      'access_group_ids: which models such a group holds is not in these tables; only models named otherwise are allowed',
    );
  for (const [key, value] of Object.entries(row.metadata)) {
    const what = METADATA[key];
    if (what !== undefined && value !== null && JSON.stringify(value).length > 2)
      leftovers.left(name, `metadata.${key}: ${what} are not carried over`);
  }
}

const isFilled = (value: Readonly<Record<string, unknown>>): boolean => Object.keys(value).length > 0;
