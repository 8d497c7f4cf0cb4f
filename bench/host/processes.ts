import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** CPU and memory of a process and everything below it. */
export interface Footprint {
  readonly cpuMs: number;
  readonly rssBytes: number;
}

interface StatLine {
  readonly parent: number;
  readonly cpuTicks: number;
  readonly rssPages: number;
}

/** Clock ticks a second and bytes a page, as this machine's kernel reports them. */
export interface KernelUnits {
  readonly ticksPerSecond: number;
  readonly pageBytes: number;
}

export function readKernelUnits(): KernelUnits {
  const ask = (name: string): number => Number(execFileSync('getconf', [name], { encoding: 'utf8' }));
  return { ticksPerSecond: ask('CLK_TCK'), pageBytes: ask('PAGESIZE') };
}

/** Sums utime and stime (all threads) and resident memory of `pid` and its descendants; children that have ended do not count. */
export function readFootprint(pid: number, units: KernelUnits): Footprint {
  const table = readProcessTable();
  let cpuTicks = 0;
  let rssPages = 0;
  const queue = [pid];
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    const line = table.get(next);
    if (line === undefined) continue;
    cpuTicks += line.cpuTicks;
    rssPages += line.rssPages;
    for (const [child, { parent }] of table) if (parent === next) queue.push(child);
  }
  return { cpuMs: (cpuTicks * 1000) / units.ticksPerSecond, rssBytes: rssPages * units.pageBytes };
}

function readProcessTable(): Map<number, StatLine> {
  const table = new Map<number, StatLine>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      table.set(Number(name), parseStat(readFileSync(`/proc/${name}/stat`, 'utf8')));
    } catch {
      // It ended between the listing and the reading.
    }
  }
  return table;
}

/** The second field is a name in parentheses that may hold spaces and parentheses: count from the last one. */
export function parseStat(text: string): StatLine {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const field = (number: number): number => Number(fields[number - 3]);
  return { parent: field(4), cpuTicks: field(14) + field(15), rssPages: field(24) };
}

/** Time that a core was busy since boot, in ms, stolen time included: what others took of it is this less what we know of. */
export function readCoreBusyMs(core: number, units: KernelUnits): number {
  const line = readFileSync('/proc/stat', 'utf8')
    .split('\n')
    .find((candidate) => candidate.startsWith(`cpu${core} `));
  const [user = 0, nice = 0, system = 0, , , irq = 0, softIrq = 0, steal = 0] = (line ?? '').split(/\s+/).slice(1).map(Number);
  return ((user + nice + system + irq + softIrq + steal) * 1000) / units.ticksPerSecond;
}
