import type { Config } from '#contracts/config';
import { refusal, type Refusal } from '#contracts/errors';
import type { RecordedTokens } from '#contracts/record';
import { tightestLimits } from '#core/limits';
import { costMicroUsd } from '#core/pricing';
import type { Journal } from '#storage';
import type { Life } from '../life.ts';
import type { Received } from '../receive.ts';
import type { Caller } from '../tenants/tenant-directory.ts';
import type { Model } from '../topology.ts';
import type { Limiter, LimitedAnswer } from './limiter.ts';
import { rateHeaders } from './rate-headers.ts';

/** Stage 3 and what of stage 8 undoes it: limits, the gateway's own bound, and journal space, all or nothing. */
export interface Admission {
  /** Takes a place, limits and journal space, or says what is in the way; a refusal takes nothing. */
  admit(life: Life, caller: Caller, received: Received, model: Model | null): Refusal | null | Promise<Refusal | null>;
  /**
   * Journal space for the record of a request that was refused before it was given any. Refusals of known callers are recorded
   * while the journal is at most half full, so that no flood of them takes the room of requests that are served; what is not
   * recorded is counted. Strangers are only counted: who may not call may not write to the disk either.
   */
  reserveRefused(life: Life): boolean;
  /** Gives back the place and settles the limits of a request that was admitted; nothing for one that was not. */
  release(life: Life, tokens: RecordedTokens): void;
  readonly openRequests: () => number;
}

export interface AdmissionOptions {
  readonly config: () => Config;
  readonly limiter: () => Limiter;
  readonly wallMs: () => number;
  readonly journal: Journal;
  readonly onUnrecorded: () => void;
}

export function createAdmission({ config, limiter, wallMs, journal, onUnrecorded }: AdmissionOptions): Admission {
  let openAll = 0;

  return {
    openRequests: () => openAll,
    admit(life, caller, { asked }, model) {
      const { bounds } = config();
      if (openAll >= bounds.requests)
        return refusal('overloaded', 'The gateway is at its bound of open requests', { retryAfterMs: 1_000 });
      const unrecordable = reserveRecord(life);
      if (unrecordable) return unrecordable;
      openAll++;
      life.isAdmitted = true;
      const answer = limiter().admit({
        id: life.id,
        caller,
        modelId: asked.model,
        model,
        endUser: life.endUser,
        address: life.address,
        bodyBytes: life.requestBytes,
        maxOutputTokens: asked.maxOutputTokens,
        usesTools: asked.usesTools,
      });
      return answer instanceof Promise ? answer.then((decided) => conclude(life, decided)) : conclude(life, answer);
    },
    reserveRefused(life) {
      if (life.caller === null || life.isAdmitted) return false;
      const { bytesUsed, bytesMax } = journal.status();
      const hasRoom = bytesUsed * 2 <= bytesMax && journal.reserve() === null;
      if (!hasRoom) onUnrecorded();
      return hasRoom;
    },
    release(life, tokens) {
      if (!life.isAdmitted) return;
      life.isAdmitted = false;
      openAll--;
      const wasAnswered = life.attempts.some(
        ({ status, outcome }) => status === 200 || outcome === 'aborted' || outcome === 'timed_out',
      );
      life.admitted?.settle(tokens, { wasAnswered });
      if (life.admitted && life.caller && life.modelId !== null && wasAnswered && !tokens.estimated)
        limiter().learn({
          keyId: life.caller.id,
          modelId: life.modelId,
          bodyBytes: life.requestBytes,
          amounts: tokens,
          costMicroUsd: life.model?.price ? costMicroUsd(life.model.price, tokens) : 0,
        });
    },
  };

  function conclude(life: Life, answer: LimitedAnswer): Refusal | null {
    if (answer.ok) {
      life.admitted = answer.value;
      const { groups, ahead } = answer.value;
      if (groups.length > 0) life.limitHeaders = rateHeaders(life.dialect, tightestLimits(groups, ahead), wallMs());
      return null;
    }
    const { refusal: problem, groups, ahead } = answer.error;
    if (ahead) life.limitHeaders = rateHeaders(life.dialect, tightestLimits(groups, ahead), wallMs());
    life.isAdmitted = false;
    openAll--;
    if (life.hasJournalSpace) journal.release();
    life.hasJournalSpace = false;
    return problem;
  }

  function reserveRecord(life: Life): Refusal | null {
    const problem = journal.reserve();
    if (problem === null) {
      life.hasJournalSpace = true;
      return null;
    }
    if (config().journal.when_full === 'refuse')
      return refusal('unrecordable', 'Requests cannot be recorded at the moment, and unrecorded traffic is not allowed here', {
        retryAfterMs: 5_000,
      });
    onUnrecorded();
    return null;
  }
}
