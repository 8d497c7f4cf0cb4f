#!/usr/bin/env -S node --no-allocation-site-pretenuring
// The flag: V8 takes the objects of a request, which live for milliseconds, for long-lived ones, allocates them in the old
// generation, and each then keeps its whole request until a full collection. docs/performance.md has the figures.
import { Command } from 'commander';
import { registerCheck } from './check.ts';
import { registerFailures } from './failures.ts';
import { registerImport } from './import.ts';
import { registerKey } from './key.ts';
import { registerLimit } from './limit.ts';
import { registerModel } from './model.ts';
import { registerServe } from './serve.ts';
import { registerUsage } from './usage.ts';
import { registerSim } from './sim.ts';

const program = new Command('plimsoll').description('The front door for AI model APIs.').showHelpAfterError().version('0.1.0');
registerServe(program);
registerKey(program);
registerLimit(program);
registerUsage(program);
registerImport(program);
registerCheck(program);
registerFailures(program);
registerSim(program);
registerModel(program);
await program.parseAsync();
