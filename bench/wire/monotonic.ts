/** Nanoseconds of the machine's monotonic clock, the same in every process of this machine, so that two processes can compare. */
export function nowNs(): number {
  return Number(process.hrtime.bigint());
}
