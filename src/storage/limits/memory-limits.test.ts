import { describeLimitStore } from './limit-store.conformance.ts';
import { createMemoryLimits } from './memory-limits.ts';

describeLimitStore('limits in memory', (clock) => Promise.resolve(createMemoryLimits({ clock, subjectsMax: 100_000 })));
