import type { FailureEntry } from './entry.ts';
import { connectRefused } from './entries/a01-connect-refused.ts';
import { resetBeforeContent } from './entries/a07-reset-before-content.ts';
import { resetInAnswer } from './entries/a08-reset-in-answer.ts';
import { errorAfter200 } from './entries/a09-error-after-200.ts';
import { stall } from './entries/a10-stall.ts';
import { clientLeaves } from './entries/a11-client-leaves.ts';
import { slowReader } from './entries/a12-slow-reader.ts';
import { eventLoop } from './entries/a13-event-loop.ts';
import { stopInStream } from './entries/a14-stop-in-stream.ts';
import { mixUp } from './entries/a15-mix-up.ts';
import { framing } from './entries/a16-framing.ts';
import { translation } from './entries/a17-translation.ts';
import { limitsFrozen } from './entries/b01-limits-frozen.ts';
import { limitsOpen } from './entries/b03-limits-open.ts';
import { limitsClock } from './entries/b04-limits-clock.ts';
import { estimates } from './entries/b05-estimates.ts';
import { backpressure } from './entries/b06-backpressure.ts';
import { retryAmplification } from './entries/b07-retry-amplification.ts';
import { usageOnce } from './entries/b08-usage-once.ts';
import { revokedKey } from './entries/b10-revoked-key.ts';
import { hostileKeys } from './entries/b11-hostile-keys.ts';
import { otherTenant } from './entries/b12-other-tenant.ts';
import { canarySecrets } from './entries/g04-canary-secrets.ts';
import { badConfiguration } from './entries/i01-bad-configuration.ts';
import { diskRefuses } from './entries/j01-disk-refuses.ts';
import { journalFull } from './entries/j02-journal-full.ts';

/** Every failure that can be provoked, in the catalogue's order. A new one is a file in `entries/` and a line here. */
export const FAILURES: readonly FailureEntry[] = [
  connectRefused,
  resetBeforeContent,
  resetInAnswer,
  errorAfter200,
  stall,
  clientLeaves,
  slowReader,
  eventLoop,
  stopInStream,
  mixUp,
  framing,
  translation,
  limitsFrozen,
  limitsOpen,
  limitsClock,
  estimates,
  backpressure,
  retryAmplification,
  usageOnce,
  revokedKey,
  hostileKeys,
  otherTenant,
  canarySecrets,
  badConfiguration,
  diskRefuses,
  journalFull,
];
