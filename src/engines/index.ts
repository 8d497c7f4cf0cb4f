export type { Engine, EngineCall, EngineFailure, EngineHandler, EngineRequest } from './engine.ts';
export { createRemoteEngine } from './remote/remote-engine.ts';
export { createLlamaGenerator, type LlamaOptions } from './llama/create-llama-generator.ts';
export type { ModelStatus } from './llama/model-process.ts';
export type { LlamaGenerator } from './llama/process-generator.ts';
export { UncountablePrompt } from './llama/token-counts.ts';
