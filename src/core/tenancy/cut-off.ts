import type { Organization } from '#contracts/tenancy';

/**
 * Whether a gateway that cannot hear of revocations may still serve an organization.
 * @param cutOffForMs - how long it has heard nothing, ms; 0 while it hears
 */
export function mayServe(whenCutOff: Organization['whenCutOff'], cutOffForMs: number): boolean {
  return whenCutOff.kind === 'serve' || cutOffForMs <= 0 || cutOffForMs < whenCutOff.afterSeconds * 1000;
}
