import type { Check } from '../check.ts';
import { abortChecks } from './abort.ts';
import { answerChecks } from './answers.ts';
import { brokenChecks } from './broken.ts';
import { errorChecks } from './errors.ts';
import { forwardChecks } from './forward.ts';
import { streamChecks } from './streams.ts';
import { surfaceChecks } from './surface.ts';
import { upstreamChecks } from './upstream.ts';

/** Every check that needs nothing but HTTP, in the order they run: what may make a gateway shy of its replica comes last. */
export const ALL_CHECKS: readonly Check[] = [
  ...answerChecks,
  ...surfaceChecks,
  ...errorChecks,
  ...streamChecks,
  ...forwardChecks,
  ...abortChecks,
  ...brokenChecks,
  ...upstreamChecks,
];
