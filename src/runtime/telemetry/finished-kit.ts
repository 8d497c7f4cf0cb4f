import type { Config } from '#contracts/config';
import { configSchema } from '#contracts/config';
import type { UsageRecord } from '#contracts/record';

/** A configuration with two pools of remote replicas, and one in this process. */
export function sampleConfig(sampleRatio = 1): Config {
  return configSchema.parse({
    pools: [
      { id: 'harbor', dialect: 'anthropic', replicas: [{ id: 'eu-1', url: 'http://10.0.0.7:9101' }] },
      { id: 'spare', dialect: 'openai', replicas: [{ id: 'us-1', url: 'https://spare.example/v1' }] },
      { id: 'toy', engine: 'simulated' },
    ],
    models: [
      {
        id: 'harbor-1',
        serve: [
          { pool: 'spare', upstream_model: 'org/spare-70b' },
          { pool: 'harbor', upstream_model: 'org/harbor-70b' },
        ],
      },
      { id: 'toy-1', serve: [{ pool: 'toy' }] },
    ],
    telemetry: { sample_ratio: sampleRatio },
  });
}

/** The record of a streamed answer that took two attempts. Every name in it that may not be exported says so. */
export function sampleRecord(more: Partial<UsageRecord> = {}): UsageRecord {
  return {
    version: 1,
    id: 'req_0123456789abcdef01234567',
    atMs: 1_760_000_000_123,
    organization: 'org_1',
    workspace: 'ws_1',
    key: 'key_secret',
    endUser: 'user_secret',
    conversation: 'conversation_secret',
    dialect: 'anthropic',
    operation: 'messages',
    streamed: true,
    model: 'harbor-1',
    behavior: 'sha256:5eed',
    pool: 'harbor',
    region: 'eu-west',
    attempts: [
      {
        replica: 'us-1',
        outcome: 'backpressure',
        status: 429,
        upstreamRequestId: null,
        startUs: 300,
        durationUs: 4_000,
        firstContentUs: null,
      },
      {
        replica: 'eu-1',
        outcome: 'answered',
        status: 200,
        upstreamRequestId: 'up_1',
        startUs: 4_400,
        durationUs: 995_000,
        firstContentUs: 95_000,
      },
    ],
    outcome: 'answered',
    status: 200,
    code: null,
    stopReason: 'end_turn',
    tokens: { input: 100, cacheRead: 20, cacheWrite: 3, output: 46, estimated: false },
    costMicroUsd: 7,
    stagesUs: { receive: 200, authenticate: 40, admit: 10, place: 150, attempt: 99_000, stream: 900_000, settle: 600 },
    firstContentUs: 100_000,
    durationUs: 1_000_000,
    requestBytes: 2_000,
    responseBytes: 1_000,
    guards: [],
    ...more,
  };
}
