// Run by usage-flow-kill.test.ts in a process of its own, to be killed: a journal and its flow into the embedded store, under
// load. Prints how many records are safe each time that a flush says so.
import { writeSync } from 'node:fs';
import path from 'node:path';
import { createSystemClock, createSystemRandom } from '#runtime';
import { createJournal } from '#storage';
import { flowRecord } from './flow-kit.ts';
import { startUsageFlow } from './usage-flow.ts';

const [directory = ''] = process.argv.slice(2);
const clock = createSystemClock();
const report = (event: { readonly message: string }): void => void writeSync(2, `${event.message}\n`);
const journal = await createJournal({
  directory: path.join(directory, 'journal'),
  clock,
  random: createSystemRandom(),
  onEvent: report,
  syncIntervalMs: 5,
  segmentBytes: 256 * 1024,
});
const place = { kind: 'embedded', directory: path.join(directory, 'store') } as const;
const flow = await startUsageFlow({ journal, place, clock, onEvent: report, intervalMs: 20, batchMax: 100 });

// The journal numbers records as they come, so the next number is how many there are.
for (let number = Number(Atomics.load(new BigInt64Array(journal.synced), 0)); ;) {
  for (let burst = 0; burst < 10 && journal.reserve() === null; burst++) journal.append(flowRecord(number++));
  const upTo = number;
  void journal.flush().then(() => writeSync(1, `${flow.status().kind} ${upTo}\n`));
  await new Promise((resolve) => setTimeout(resolve, 2));
}
