import { z } from 'zod';

/** What V8 writes with `--cpu-prof`, as far as it is read here. */
export const cpuProfileSchema = z.object({
  nodes: z.array(
    z.object({
      id: z.number(),
      callFrame: z.object({ functionName: z.string(), url: z.string(), lineNumber: z.number() }),
    }),
  ),
  samples: z.array(z.number()),
  timeDeltas: z.array(z.number()),
});

export type CpuProfile = z.infer<typeof cpuProfileSchema>;

/** Time that was spent in a function itself, not in what it called. */
export interface SelfTime {
  readonly module: string;
  readonly name: string;
  readonly selfUs: number;
}

const IDLE = new Set(['(idle)', '(root)']);

/** Self time by function, the longest first, idle time left out. */
export function selfTimes(profile: CpuProfile): readonly SelfTime[] {
  const nodes = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame]));
  const found = new Map<string, { readonly module: string; readonly name: string; selfUs: number }>();
  profile.samples.forEach((id, index) => {
    const frame = nodes.get(id);
    if (frame === undefined || IDLE.has(frame.functionName)) return;
    const module = moduleOf(frame.url);
    const isPlace = frame.url !== '' && frame.lineNumber >= 0;
    const name = `${frame.functionName === '' ? '(anonymous)' : frame.functionName}${isPlace ? `:${frame.lineNumber + 1}` : ''}`;
    const key = `${module} ${name}`;
    const entry = found.get(key) ?? { module, name, selfUs: 0 };
    entry.selfUs += Math.max(0, profile.timeDeltas[index] ?? 0);
    found.set(key, entry);
  });
  return [...found.values()].sort((a, b) => b.selfUs - a.selfUs);
}

/** Where a function lives: a file of ours, a package, a part of Node, or V8 and native code. */
export function moduleOf(url: string): string {
  if (url === '') return '(native and V8)';
  if (url.startsWith('node:')) return url;
  const inPackage = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1];
  if (inPackage !== undefined) return inPackage;
  return /\/((?:src|bench)\/.*)$/.exec(url)?.[1] ?? url;
}
