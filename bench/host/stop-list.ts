/** What has been started and must be stopped, last first, however the run ends. */
export interface StopList {
  add(stop: () => Promise<void> | void): void;
  stopAll(): Promise<void>;
}

/** Also stops everything when the user interrupts the run: the children have process groups of their own. */
export function createStopList(): StopList {
  const stops: (() => Promise<void> | void)[] = [];
  const stopAll = async (): Promise<void> => {
    for (let stop = stops.pop(); stop !== undefined; stop = stops.pop()) await stop();
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void stopAll().finally(() => process.exit(signal === 'SIGINT' ? 130 : 143)));
  return { add: (stop) => void stops.push(stop), stopAll };
}
