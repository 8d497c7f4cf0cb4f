// Run by kill.test.ts in a process of its own, to be killed: appends records as fast as they are taken, and prints how many are
// safe each time that a flush says so.
import { writeSync } from 'node:fs';
import { createJournal } from './journal.ts';
import { realClock, sampleRecord, seededRandom } from './journal-kit.ts';

const [directory = '', first = '0', seed = '1'] = process.argv.slice(2);
const journal = await createJournal({
  directory,
  clock: realClock(),
  random: seededRandom(Number(seed)),
  onEvent: (event) => writeSync(2, `${event.message}\n`),
  syncIntervalMs: 5,
  segmentBytes: 256 * 1024,
  bytesMax: 512 * 1024 * 1024,
});

for (let number = Number(first); ;) {
  for (let burst = 0; burst < 50 && journal.reserve() === null; burst++) journal.append(sampleRecord(number++));
  const upTo = number;
  if (Math.random() < 0.3) void journal.flush().then(() => writeSync(1, `safe ${upTo}\n`));
  await new Promise((resolve) => setImmediate(resolve));
}
