export { authenticate } from './authenticate.ts';
export { createGateway, type Gateway, type GatewayOptions } from './gateway.ts';
export { openKeyring, type Keyring } from './keyring.ts';
export { buildTopology, type EngineFactory, type Topology } from './topology.ts';
