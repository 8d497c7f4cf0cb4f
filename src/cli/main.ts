#!/usr/bin/env node
import { Command } from 'commander';
import { registerModel } from './model.ts';
import { registerServe } from './serve.ts';
import { registerUsage } from './usage.ts';
import { registerSim } from './sim.ts';

const program = new Command('plimsoll').description('The front door for AI model APIs.').showHelpAfterError().version('0.1.0');
registerServe(program);
registerSim(program);
registerModel(program);
registerUsage(program);
await program.parseAsync();
