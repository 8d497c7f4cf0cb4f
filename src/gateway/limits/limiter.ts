import type { Clock } from '#contracts/clock';
import type { Config } from '#contracts/config';
import { refusal, type Refusal } from '#contracts/errors';
import {
  compileLimits,
  countMeters,
  createTokenExpectations,
  expectedCosts,
  mixAfter,
  type Amounts,
  type Mix,
  grow,
  type GrowthState,
  type LimitedTenant,
  type LimitPlanner,
  type MeterGroup,
  type SubjectHash,
} from '#core/limits';
import type { Action } from '#contracts/tenancy';
import { networkOf, networkText, parseAddress } from '#core/addresses';
import { err, ok, type Result } from '#core/kernel';
import { standingOf, type Standing } from '#core/tenancy';
import type { LimitAnswer, LimitStore } from '#storage';
import type { Caller } from '../tenants/tenant-directory.ts';
import type { Tenants } from '../tenants/tenants.ts';
import type { Model } from '../topology.ts';
import { Admitted } from './admitted.ts';
import { refusalOfAction, refusalOfLimit } from './refusals.ts';

/** What of a request decides about its limits. */
export interface LimitedAsk {
  readonly id: string;
  readonly caller: Caller;
  readonly modelId: string;
  readonly model: Model | null;
  readonly endUser: string | null;
  readonly address: string;
  readonly bodyBytes: number;
  /** The client's own cap on output tokens; null when it set none. */
  readonly maxOutputTokens: number | null;
  readonly usesTools: boolean;
}

export type LimitedAnswer = Result<
  Admitted,
  { readonly refusal: Refusal; readonly groups: readonly MeterGroup[]; readonly ahead: Float64Array | null }
>;

/** All limits and actions of one configuration, over one store. */
export interface Limiter {
  /** Takes what a request is expected to cost from all its limits at once, or says which one is in the way. */
  admit(ask: LimitedAsk): LimitedAnswer | Promise<LimitedAnswer>;
  /** Learns from how a request ended: how long answers are, and how its key calls. */
  learn(ended: {
    readonly keyId: string;
    readonly modelId: string;
    readonly bodyBytes: number;
    readonly amounts: Amounts;
    readonly costMicroUsd: number;
  }): void;
  /** The meters of a caller, as an operator or the caller itself may ask about them. */
  groupsOf(caller: Caller, modelId: string): readonly MeterGroup[];
  /** How a key calls these days; undefined when it has not called lately. */
  mixOf(keyId: string): Mix | undefined;
  readonly planner: LimitPlanner;
  readonly store: LimitStore;
  /** What the growth cap would have refused, or did, since the start. */
  readonly growth: { readonly refused: number; readonly wouldHaveRefused: number };
}

export interface LimiterOptions {
  readonly config: Config;
  readonly store: LimitStore;
  readonly clock: Clock;
  readonly hash: SubjectHash;
  /** Places of scopes by what they are, kept by the caller over all configurations of a process. */
  readonly places: Map<string, number>;
  readonly directory: Pick<Tenants, 'endUser' | 'actionsFor'>;
}

/** Where neither the client nor the model names a cap on output, a reservation at max_tokens takes this. */
const MAX_TOKENS_UNSAID = 4_096;
/** Organizations of which growth is followed; a tier asks for it. */
const GROWTH_MAX = 1_000_000;
/** Keys of which is known how they call. */
const MIXES_MAX = 50_000;

/** @returns the limiter, or what is wrong with the configuration's limits */
export function createLimiter({
  config,
  store,
  clock,
  hash,
  directory,
  places,
}: LimiterOptions): Result<Limiter, readonly string[]> {
  const compiled = compileLimits(
    {
      defaults: config.limits.defaults,
      rules: config.limits.rules,
      tiers: config.limits.tiers,
      modelClasses: config.limits.model_classes,
    },
    hash,
    places,
  );
  if (!compiled.ok) return compiled;
  const planner = compiled.value;
  const expectations = createTokenExpectations();
  const tenants = new WeakMap<Caller, LimitedTenant>();
  const growing = new Map<string, GrowthState>();
  const mixes = new Map<string, Mix>();
  const growth = { refused: 0, wouldHaveRefused: 0 };

  const blocking = (): Blocking => ({
    planner,
    appealDefault: config.limits.appeal_url ?? null,
    actionsFor: directory.actionsFor,
    wallMs: clock.wallMs(),
  });
  const tenantOf = (caller: Caller): LimitedTenant => {
    let tenant = tenants.get(caller);
    if (!tenant) tenants.set(caller, (tenant = limitedTenant(caller, directory)));
    return tenant;
  };
  const groupsOf = (caller: Caller, modelId: string, endUser: string | null, address: string): readonly MeterGroup[] =>
    planner.groupsOf({
      tenant: tenantOf(caller),
      modelClass: planner.modelClassOf(modelId),
      endUser:
        endUser === null
          ? null
          : {
              id: endUser,
              limits: directory.endUser(caller.organization, endUser)?.limits ?? {},
              slow: slowest(directory.actionsFor({ kind: 'end_user', id: endUser })),
            },
      address,
    });

  return ok({
    planner,
    store,
    growth,
    groupsOf: (caller, modelId) => groupsOf(caller, modelId, null, '-'),
    mixOf: (keyId) => mixes.get(keyId),
    admit(ask) {
      const { caller, model } = ask;
      const blocked = blockedBy(ask, blocking()) ?? tooFast(caller);
      if (blocked) return err({ refusal: blocked, groups: [], ahead: null });
      const groups = groupsOf(caller, ask.modelId, ask.endUser, ask.address);
      const costs = new Float64Array(countMeters(groups));
      const price = model?.price ?? null;
      const expectedInput = Math.min(
        expectations.input(hash.text(ask.modelId), ask.bodyBytes),
        model?.maxInputTokens ?? Number.MAX_SAFE_INTEGER,
      );
      if (groups.length > 0) {
        const atMost = ask.maxOutputTokens ?? model?.maxOutputTokens ?? MAX_TOKENS_UNSAID;
        const likely = Math.min(atMost, expectations.outputQuantile(hash.text(`${caller.id} ${ask.modelId}`)));
        expectedCosts(
          groups,
          { input: expectedInput, output: { metered: 0, quantile: likely, max_tokens: atMost }, price },
          costs,
        );
      }
      const conclude = (answer: LimitAnswer): LimitedAnswer =>
        answer.refusedBy === -1
          ? ok(new Admitted({ id: ask.id, groups, costs, answer, store, price, expectedInput, nowUs: clock.nowUs() }))
          : err({ refusal: refusalOfLimit(groups, answer), groups, ahead: answer.ahead });
      if (groups.length === 0) return conclude(NOTHING_LIMITED);
      const taken = store.take({ id: ask.id, groups, costs });
      return taken instanceof Promise ? taken.then(conclude) : conclude(taken);
    },
    learn({ keyId, modelId, bodyBytes, amounts, costMicroUsd }) {
      const { input, cacheRead, cacheWrite, output } = amounts;
      expectations.learnOutput(hash.text(`${keyId} ${modelId}`), output);
      expectations.learnInput(hash.text(modelId), bodyBytes, input + cacheRead + cacheWrite);
      const mix = mixAfter(mixes.get(keyId), { ...amounts, costMicroUsd }, clock.nowUs());
      // Those that have not called for longest go first.
      mixes.delete(keyId);
      mixes.set(keyId, mix);
      if (mixes.size > MIXES_MAX) mixes.delete(mixes.keys().next().value as string);
    },
  });

  function tooFast(caller: Caller): Refusal | null {
    const cap = planner.tierOf(caller.tenant.organization.tier)?.growth;
    if (!cap) return null;
    const known = growing.get(caller.organization);
    if (known === undefined && growing.size >= GROWTH_MAX) growing.clear();
    const answer = grow(
      known,
      { floor: Math.max(1, Math.ceil(cap.floor / store.status().gateways)), factor: cap.factor },
      clock.nowUs(),
    );
    if (!answer.refused) growing.set(caller.organization, answer.state);
    else if (cap.dry_run) growth.wouldHaveRefused++;
    else {
      growth.refused++;
      return refusal(
        'growth_limited',
        'The traffic of this organization grows faster than its tier allows; a steady ramp passes',
        {
          retryAfterMs: Math.ceil(answer.waitUs / 1000),
        },
      );
    }
    return null;
  }
}

const NOTHING_LIMITED: LimitAnswer = { refusedBy: -1, waitUs: 0, ahead: new Float64Array(), by: 'exact' };

function limitedTenant(caller: Caller, directory: LimiterOptions['directory']): LimitedTenant {
  return {
    organization: caller.tenant.organization,
    workspace: caller.tenant.workspace,
    key: caller.key,
    // A key's standing already counts what was done about its organization.
    slow: {
      organization: slowest(directory.actionsFor({ kind: 'organization', id: caller.organization })),
      key: caller.standing.rateFactor,
    },
  };
}

const slowest = (actions: readonly Action[]): number =>
  actions.reduce((factor, action) => (action.rung === 'slow' ? Math.min(factor, action.factor ?? 1) : factor), 1);

interface Blocking {
  readonly planner: LimitPlanner;
  readonly appealDefault: string | null;
  readonly actionsFor: Tenants['actionsFor'];
  readonly wallMs: number;
}

/** What is done about the caller, its end user or the network it comes from, or what its key is not for. */
function blockedBy(ask: LimitedAsk, { planner, appealDefault, actionsFor, wallMs }: Blocking): Refusal | null {
  const { caller, modelId, endUser, address, usesTools } = ask;
  const parsed = parseAddress(address);
  const besides = [
    ...(endUser === null ? [] : actionsFor({ kind: 'end_user', id: endUser })),
    ...(parsed === null ? [] : actionsFor({ kind: 'address_block', id: networkText(networkOf(parsed)) })),
  ];
  const appeal = caller.tenant.organization.appealUrl ?? appealDefault;
  const done = ofStanding(caller.standing) ?? (besides.length === 0 ? null : ofStanding(standingOf(besides, wallMs)));
  if (done) return done;
  if (!caller.scopes.allowsModel(modelId))
    return refusal('forbidden', `This key may not use model ${modelId}`, { param: 'model' });
  return null;

  function ofStanding(standing: Standing): Refusal | null {
    if (standing.suspended) return refusalOfAction(standing.suspended, 'suspended', appeal);
    if (standing.stepUp) return refusalOfAction(standing.stepUp, 'step_up_required', appeal);
    if (standing.blocked.size === 0) return null;
    const action =
      standing.blocked.get(`model:${modelId}`) ??
      standing.blocked.get(`model_class:${planner.modelClassOf(modelId)}`) ??
      (usesTools ? standing.blocked.get('tools') : undefined);
    return action ? refusalOfAction(action, 'capability_blocked', appeal) : null;
  }
}
