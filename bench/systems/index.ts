import { bareNode } from './bare-node.ts';
import { direct } from './direct.ts';
import { envoy } from './envoy.ts';
import { litellm } from './litellm.ts';
import { nginx } from './nginx.ts';
import { plimsoll } from './plimsoll.ts';
import { portkey } from './portkey.ts';
import type { System } from './system.ts';

/** Every system the bench knows, in the order of its tables. A new one is a file here and a name in this list. */
export const SYSTEMS: readonly System[] = [direct, bareNode, plimsoll, nginx, envoy, portkey, litellm];
