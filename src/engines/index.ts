export type { Engine, EngineCall, EngineFailure, EngineHandler, EngineRequest } from './engine.ts';
export { createRemoteEngine } from './remote/remote-engine.ts';
