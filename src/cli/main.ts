#!/usr/bin/env node
import { Command } from 'commander';
import { registerServe } from './serve.ts';

const program = new Command('plimsoll').description('The front door for AI model APIs.').showHelpAfterError().version('0.1.0');
registerServe(program);
await program.parseAsync();
