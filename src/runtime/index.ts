export { createSystemClock } from './clock.ts';
export { loadConfig, parseConfig, type ConfigProblem } from './config/load-config.ts';
export { nearest } from './config/nearest.ts';
export { readSecret } from './config/secrets.ts';
export { createLog, createMemoryLog, type Log } from './log.ts';
export { createMetrics, type Metrics, type Sample } from './metrics.ts';
export { createSystemRandom } from './random.ts';
export { startTelemetry, type Telemetry } from './telemetry/start-telemetry.ts';
export { createVirtualClock, type VirtualClock } from './virtual-clock.ts';
