import type { TenantDirectory } from './tenant-directory.ts';

/** What the gateway knows of its tenants, and for how long it has not been able to hear of changes. */
export interface Tenants extends Pick<TenantDirectory, 'find' | 'endUser' | 'actionsFor' | 'key'> {
  /** What an end user is called here: the client's own name for them, hashed under its organization. */
  endUserId(organization: string, user: string): string;
  /** Monotonic ms since it last heard that it is up to date; 0 while it does. */
  cutOffForMs(): number;
}
