import type { LimitRule, Tier } from '#contracts/limits';
import type { Level } from '#contracts/measures';
import type { LimitOverrides } from '#contracts/tenancy';
import { err, invariant, ok, type Result } from '../kernel/index.ts';
import type { MeterGroup, Scope } from './meters.ts';
import { compileRate, UNLIMITED, type Rate } from './rate.ts';
import {
  defineLimits,
  problemsOfRules,
  scopesOf,
  SLOW_RULES,
  SLOWED_RPM,
  specOf,
  type KeyDefaults,
  type LimitDefinition,
} from './rules.ts';

/** What decides about limits, of a configuration. */
export interface LimitsConfig {
  readonly defaults: KeyDefaults;
  readonly rules: readonly LimitRule[];
  readonly tiers: readonly Tier[];
  readonly modelClasses: readonly { readonly id: string; readonly models: readonly string[] }[];
}

/** Whose request it is, and what is said of their limits. Objects are compared by identity: a changed tenant is a new object. */
export interface LimitedTenant {
  readonly organization: { readonly id: string; readonly tier: string | null; readonly limits: LimitOverrides };
  readonly workspace: { readonly id: string; readonly limits: LimitOverrides } | null;
  readonly key: { readonly id: string; readonly limits: LimitOverrides };
  /** What a slowed organization's and key's rates are multiplied by; 1 when neither is slowed. */
  readonly slow: { readonly organization: number; readonly key: number };
}

export interface LimitedRequest {
  readonly tenant: LimitedTenant;
  readonly modelClass: string;
  /** `slow`: what a slowed end user's rates are multiplied by. */
  readonly endUser: { readonly id: string; readonly limits: LimitOverrides; readonly slow: number } | null;
  /** The client's address, or the block it is counted as. */
  readonly address: string;
}

/** Hashes a subject's name under a secret of this installation, into 64 bits. */
export interface SubjectHash {
  /** The low 32 bits. */
  text(text: string): number;
  /** The high 32 bits of what was hashed last. */
  high(): number;
}

/** Every limit of a configuration, ready to be applied to requests. */
export interface LimitPlanner {
  /** The meters on which a request is counted: of each scope, those of its subject, where any of its rules limits it. */
  groupsOf(request: LimitedRequest): readonly MeterGroup[];
  modelClassOf(model: string): string;
  tierOf(id: string | null): Tier | null;
  readonly scopes: readonly Scope[];
  readonly definitions: readonly LimitDefinition[];
}

/**
 * Makes the limits of a configuration ready.
 * @param places - of scopes, by what they are: a scope keeps its place, and its meters, over all configurations that have it
 * @returns the planner, or everything that is wrong with them, in words for whoever wrote them
 */
export function compileLimits(
  config: LimitsConfig,
  hash: SubjectHash,
  places: Map<string, number> = new Map(),
): Result<LimitPlanner, readonly string[]> {
  const definitions = defineLimits(config.defaults, config.rules);
  const problems = [
    ...problemsOfRules(config.rules, config.tiers, definitions),
    ...definitions.flatMap((definition) => problemOfValues(definition, definition, `limits.rules ${definition.rule.id}`)),
    ...config.tiers.flatMap(({ id, limits }) =>
      Object.entries(limits).flatMap(([ruleId, values]) => {
        const definition = definitions.find(({ rule }) => rule.id === ruleId);
        return definition ? problemOfValues(definition, values, `limits.tiers ${id}: ${ruleId}`) : [];
      }),
    ),
  ];
  return problems.length > 0 ? err(problems) : ok(new Planner(config, definitions, hash, places));
}

/** Why an override cannot be kept exactly, in words; null when it can. For whoever sets one. */
export function problemOfOverride(
  planner: LimitPlanner,
  ruleId: string,
  values: { readonly limit?: number | undefined; readonly burst?: number | undefined },
): string | null {
  const definition = planner.definitions.find(({ rule }) => rule.id === ruleId);
  if (!definition) return `no rule is called ${ruleId}; there are ${planner.definitions.map(({ rule }) => rule.id).join(', ')}`;
  return problemOfValues(definition, values, ruleId)[0] ?? null;
}

function problemOfValues(
  definition: LimitDefinition,
  values: { readonly limit?: number | null | undefined; readonly burst?: number | null | undefined },
  where: string,
): string[] {
  const limit = values.limit ?? definition.limit;
  if (limit === null) return [];
  const rate = compileRate(specOf(definition, limit, values.burst ?? definition.burst));
  return rate.ok ? [] : [`${where}: ${rate.error}`];
}

type PlannedScope = ReturnType<typeof scopesOf>[number] & {
  /** Does any of its levels change with the request, and not with its key and model alone? */
  readonly isPerRequest: boolean;
  /** Rates by what they say, so that equal ones are one object. */
  readonly interned: Map<string, readonly Rate[]>;
};

interface Kept {
  /** Of scopes that key and model alone decide about. */
  readonly groups: readonly MeterGroup[];
  /** Scopes whose subject changes with the request, and their rates for an end user of whom nothing is said. */
  readonly perRequest: readonly { readonly scope: PlannedScope; readonly rates: readonly Rate[] }[];
}

class Planner implements LimitPlanner {
  readonly definitions: readonly LimitDefinition[];
  readonly scopes: readonly PlannedScope[];
  readonly #config: LimitsConfig;
  readonly #hash: SubjectHash;
  readonly #classOfModel: ReadonlyMap<string, string>;
  readonly #rates = new Map<string, Rate>();
  /** Of a tenant, by model class: what is the same for all its requests. */
  readonly #kept = new WeakMap<LimitedTenant, Map<string, Kept>>();

  constructor(config: LimitsConfig, definitions: readonly LimitDefinition[], hash: SubjectHash, places: Map<string, number>) {
    this.#config = config;
    this.#hash = hash;
    this.definitions = definitions;
    this.scopes = scopesOf(definitions, places).map((scope) => ({
      ...scope,
      isPerRequest: scope.of[0]?.levels.some((level) => level === 'end_user' || level === 'address') ?? false,
      interned: new Map(),
    }));
    this.#classOfModel = new Map(config.modelClasses.flatMap(({ id, models }) => models.map((model) => [model, id])));
  }

  modelClassOf(model: string): string {
    return this.#classOfModel.get(model) ?? model;
  }

  tierOf(id: string | null): Tier | null {
    return this.#config.tiers.find((tier) => tier.id === id) ?? null;
  }

  groupsOf(request: LimitedRequest): readonly MeterGroup[] {
    const kept = this.#keptOf(request);
    if (kept.perRequest.length === 0) return kept.groups;
    const isPlain = isPlainEndUser(request.endUser);
    let groups = kept.groups;
    for (const { scope, rates } of kept.perRequest) {
      // Nearly every end user is one of whom nothing is said: its limits are the tenant's, worked out once.
      const group = this.#groupOf(scope, request, isPlain ? rates : this.#ratesOf(scope, request));
      if (group) groups = [...groups, group];
    }
    return groups;
  }

  #keptOf(request: LimitedRequest): Kept {
    const { tenant, modelClass } = request;
    let byClass = this.#kept.get(tenant);
    if (!byClass) this.#kept.set(tenant, (byClass = new Map()));
    let kept = byClass.get(modelClass);
    if (!kept) {
      const plain = { ...request, endUser: null };
      kept = {
        groups: this.scopes.flatMap((scope) => {
          const group = scope.isPerRequest ? null : this.#groupOf(scope, request, this.#ratesOf(scope, request));
          return group ? [group] : [];
        }),
        perRequest: this.scopes
          .filter(({ isPerRequest }) => isPerRequest)
          .map((scope) => ({ scope, rates: this.#ratesOf(scope, plain) })),
      };
      // A client may ask for any name of a model: what is no class of ours is not kept.
      if (byClass.size < CLASSES_KEPT_MAX) byClass.set(modelClass, kept);
    }
    return kept;
  }

  /** The group of a scope, or none where nothing limits this subject. */
  #groupOf(scope: PlannedScope, request: LimitedRequest, rates: readonly Rate[]): MeterGroup | null {
    if (rates.every((rate) => rate === UNLIMITED)) return null;
    const ids: string[] = [];
    for (const level of scope.of[0]?.levels ?? []) {
      const id = idAt(level, request);
      if (id === null) return null;
      ids.push(id);
    }
    const subject = ids.join('|');
    const tenant = request.tenant.organization.id;
    const hashLow = this.#hash.text(`${tenant} ${scope.id} ${subject}`);
    return { scope, tenant, subject, hashHigh: this.#hash.high(), hashLow, rates };
  }

  #ratesOf(scope: PlannedScope, request: LimitedRequest): readonly Rate[] {
    // A slowed subject that has a limit on its requests keeps a part of that; only one that has none is given one.
    const hasOwn = scope.of.some(
      (definition) =>
        definition.rule.measure === 'requests' &&
        !definition.rule.isDryRun &&
        !SLOW_RULES.includes(definition.rule.id) &&
        this.#rateOf(definition, request) !== UNLIMITED,
    );
    const rates = scope.of.map((definition) =>
      hasOwn && SLOW_RULES.includes(definition.rule.id) ? UNLIMITED : this.#rateOf(definition, request),
    );
    const name = rates.map(nameOf).join(' ');
    let interned = scope.interned.get(name);
    if (!interned) scope.interned.set(name, (interned = rates));
    return interned;
  }

  #rateOf(definition: LimitDefinition, request: LimitedRequest): Rate {
    if (definition.modelClasses && !definition.modelClasses.includes(request.modelClass)) return UNLIMITED;
    const values = this.#valuesOf(definition, request);
    if (values.limit === null) return UNLIMITED;
    const spec = specOf(definition, values.limit, values.burst);
    const name = spec.kind === 'rate' ? `${spec.limit}/${spec.windowUs}/${spec.burst}` : `${spec.kind}/${spec.limit}`;
    let rate = this.#rates.get(name);
    if (!rate) {
      rate = nearestRate(definition, values.limit, values.burst);
      this.#rates.set(name, rate);
    }
    return rate;
  }

  /** The limit that holds for a subject: what is said nearest to it, of itself and of those it is part of. */
  #valuesOf(
    definition: LimitDefinition,
    request: LimitedRequest,
  ): { readonly limit: number | null; readonly burst: number | null } {
    const { id } = definition.rule;
    const said = saidOf(definition.levels, request).find((limits) => limits[id] !== undefined)?.[id];
    const tier = this.tierOf(request.tenant.organization.tier);
    const ofTier = tier?.limits[id] ?? spendOf(tier, id);
    const limit = said?.limit ?? ofTier?.limit ?? definition.limit;
    const burst =
      said?.burst ??
      (said?.limit === undefined ? (ofTier?.burst ?? (ofTier?.limit === undefined ? definition.burst : null)) : null);
    return slowed(definition, { limit, burst }, { ...request.tenant.slow, endUser: request.endUser?.slow ?? 1 });
  }
}

/** Classes of one tenant whose groups are kept. */
const CLASSES_KEPT_MAX = 64;

/** Values are checked where they are set. What a factor made of them may be too odd to be kept exactly: then the next rounder below. */
function nearestRate(definition: LimitDefinition, limit: number, burst: number | null): Rate {
  for (const digits of [16, 6, 3, 1]) {
    const rounded = roundDown(limit, digits);
    const rate = compileRate(specOf(definition, rounded, burst === null ? null : roundDown(burst, digits)));
    if (rate.ok) return rate.value;
  }
  invariant(false, `a limit of ${limit} cannot be counted`);
}

/** @param digits - significant ones that may stay */
function roundDown(value: number, digits: number): number {
  const unit = 10 ** Math.max(0, String(value).length - digits);
  return Math.floor(value / unit) * unit;
}

/** Is nothing said of the end user itself, and nothing done about it? */
function isPlainEndUser(endUser: LimitedRequest['endUser']): boolean {
  if (endUser === null) return true;
  for (const _ in endUser.limits) return false;
  return endUser.slow === 1;
}

function idAt(level: Level, { tenant, modelClass, endUser, address }: LimitedRequest): string | null {
  switch (level) {
    case 'organization':
      return tenant.organization.id;
    case 'workspace':
      return tenant.workspace?.id ?? null;
    case 'key':
      return tenant.key.id;
    case 'end_user':
      return endUser?.id ?? null;
    case 'model_class':
      return modelClass;
    case 'address':
      return address;
  }
}

/**
 * What is said of a rule's limit on the way up from its subject. A meter that several keys share must have one limit whichever of
 * them asks, so only levels of the subject itself, and those it lies within, have a say.
 */
function saidOf(levels: readonly Level[], { tenant, endUser }: LimitedRequest): readonly LimitOverrides[] {
  const isKey = levels.includes('key');
  const isWorkspace = isKey || levels.includes('workspace');
  return [
    ...(levels.includes('end_user') && endUser ? [endUser.limits] : []),
    ...(isKey ? [tenant.key.limits] : []),
    ...(isWorkspace && tenant.workspace ? [tenant.workspace.limits] : []),
    tenant.organization.limits,
  ];
}

function spendOf(
  tier: Tier | null,
  ruleId: string,
): { readonly limit?: number | undefined; readonly burst?: undefined } | undefined {
  if (ruleId === 'spend-month') return { limit: tier?.spend?.hard };
  if (ruleId === 'spend-month-soft') return { limit: tier?.spend?.soft };
  return undefined;
}

/** Rates of a slowed subject are a part of what they were, never nothing; and it has one limit at least. */
function slowed(
  { rule, levels, window }: LimitDefinition,
  values: { readonly limit: number | null; readonly burst: number | null },
  slow: LimitedTenant['slow'] & { readonly endUser: number },
): { readonly limit: number | null; readonly burst: number | null } {
  const factor =
    (levels.includes('key') ? slow.key : 1) *
    (levels.includes('organization') ? slow.organization : 1) *
    (levels.includes('end_user') ? slow.endUser : 1);
  if (factor === 1) return values;
  const part = (of: number): number => Math.max(1, Math.floor(of * factor));
  if (SLOW_RULES.includes(rule.id)) return { limit: part(values.limit ?? SLOWED_RPM), burst: null };
  if (window.kind !== 'rate' || values.limit === null) return values;
  return { limit: part(values.limit), burst: values.burst === null ? null : part(values.burst) };
}

const nameOf = ({ kind, limit, burst, windowUs }: Rate): string => `${kind}/${limit}/${burst}/${windowUs}`;
