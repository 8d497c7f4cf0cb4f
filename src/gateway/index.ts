export { authenticate } from './authenticate.ts';
export { BadLimits, createGateway, type Gateway, type GatewayOptions } from './gateway.ts';
export { CHARGE_TOKENS } from './limits/admitted.ts';
export type { Limiter } from './limits/limiter.ts';
export { openKeyring, type Keyring } from './keyring.ts';
export { createTenantDirectory, type Caller, type TenantDirectory } from './tenants/tenant-directory.ts';
export type { Tenants } from './tenants/tenants.ts';
export { buildTopology, type EngineFactory, type Topology } from './topology.ts';
