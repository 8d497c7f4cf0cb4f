import { actionRoutes } from './actions.ts';
import { appealRoutes } from './appeals.ts';
import { auditRoutes } from './audit.ts';
import { caseRoutes } from './cases.ts';
import { endUserRoutes } from './end-users.ts';
import { importRoutes } from './import.ts';
import { keyLifeRoutes } from './key-life.ts';
import { keyRoutes } from './keys.ts';
import { leakedKeyRoutes } from './leaked-keys.ts';
import { memberRoutes } from './members.ts';
import { operateRoutes, type OperateOptions } from './operate.ts';
import { organizationRoutes } from './organizations.ts';
import type { Route } from './route.ts';
import { workspaceRoutes } from './workspaces.ts';

/** Every way into the admin API. `routes.test.ts` walks this table as every kind of caller, and fails for a row it has no case for. */
export const adminRoutes = (options: OperateOptions): readonly Route[] => [
  ...operateRoutes(options),
  ...organizationRoutes,
  ...workspaceRoutes,
  ...keyRoutes,
  ...keyLifeRoutes,
  ...memberRoutes,
  ...endUserRoutes,
  ...actionRoutes,
  ...caseRoutes,
  ...appealRoutes,
  ...leakedKeyRoutes,
  ...auditRoutes,
  ...importRoutes,
];
