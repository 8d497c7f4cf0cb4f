import { z } from 'zod';
import { abuseSchema } from './abuse.ts';
import { limitRuleSchema, tierSchema } from './limits.ts';

/**
 * The configuration file, whole: its shape is part of the contract with operators (docs/configuration.md). Every object is
 * strict, so an unknown key stops the process. A default never replaces what someone wrote.
 */
const id = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$/, 'letters, digits and . _ : / - only, at most 128');
const ms = z.int().min(1).max(86_400_000);
const bytes = z
  .int()
  .min(1024)
  .max(2 ** 40);

/** A secret by reference: `env:NAME` or `file:/path`. Never the secret itself, so that the file can be shown to anyone. */
const secret = z
  .string()
  .regex(/^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$/, 'a reference: env:NAME or file:/path, never the secret itself');

const cidr = z.union([z.cidrv4(), z.cidrv6()], 'an address block, such as 10.0.0.0/8 or fd00::/8');

const httpUrl = z
  .url({ protocol: /^https?$/, error: 'an http:// or https:// URL' })
  .refine((text) => !/^https?:\/\/[^/]*@/.test(text), 'a URL without credentials in it: use key');

const replica = z.strictObject({
  id,
  url: httpUrl,
  key: secret.optional(),
});

const promptCache = z.strictObject({
  block_tokens: z.int().min(1).max(4096).default(64),
  capacity_tokens: z.int().min(0).max(1e12).default(2_000_000),
});

const pool = z
  .strictObject({
    id,
    region: id.optional(),
    dialect: z.enum(['anthropic', 'openai']).optional(),
    engine: z.enum(['simulated', 'llama']).optional(),
    auth: z.enum(['x-api-key', 'bearer']).optional(),
    /** OpenAI servers: whether they have `/responses` besides `/chat/completions`. */
    responses: z.boolean().default(false),
    /** What OpenAI servers call the cap on output; OpenAI's own reasoning models know only the newer name. */
    max_tokens_field: z.enum(['max_tokens', 'max_completion_tokens']).default('max_tokens'),
    prompt_cache: promptCache.optional(),
    replicas: z.array(replica).min(1).max(1000).optional(),
    /** llama: the GGUF file, and how it is run. */
    model_path: z.string().optional(),
    context_tokens: z.int().min(256).max(1_048_576).default(4096),
    parallel: z.int().min(1).max(64).default(4),
    threads: z.int().min(1).max(256).optional(),
    /** simulated: profile and seed. */
    profile: z.string().default('small'),
    seed: z.int().min(0).default(1),
  })
  .superRefine((value, context) => {
    if ((value.dialect === undefined) === (value.engine === undefined))
      context.addIssue({
        code: 'custom',
        path: [],
        message: 'say either dialect (remote replicas) or engine (simulated, llama), and not both',
      });
    if (value.dialect !== undefined && value.replicas === undefined)
      context.addIssue({ code: 'custom', path: [], message: 'a pool with a dialect needs replicas: a list of { id, url }' });
    if (value.engine !== undefined && value.replicas !== undefined)
      context.addIssue({
        code: 'custom',
        path: ['replicas'],
        message: `a pool of engine ${value.engine} runs in this process and has no replicas with a url`,
      });
    if (value.engine === 'llama' && value.model_path === undefined)
      context.addIssue({ code: 'custom', path: [], message: 'engine llama needs model_path: the GGUF file' });
  });

const model = z.strictObject({
  id,
  display_name: z.string().max(200).optional(),
  serve: z
    .array(z.strictObject({ pool: id, upstream_model: z.string().min(1).max(256).optional() }))
    .min(1)
    .max(100),
  max_input_tokens: z.int().min(1).optional(),
  max_output_tokens: z.int().min(1).optional(),
  /** Micro-dollars for a million tokens of each kind. */
  price: z
    .strictObject({
      input: z.int().min(0).max(1e12),
      output: z.int().min(0).max(1e12),
      cache_read: z.int().min(0).max(1e12).optional(),
      cache_write: z.int().min(0).max(1e12).optional(),
    })
    .optional(),
});

const limitValues = z.strictObject({
  rpm: z.int().min(1).max(1e9).optional(),
  itpm: z.int().min(1).max(1e12).optional(),
  otpm: z.int().min(1).max(1e12).optional(),
  concurrency: z.int().min(1).max(1e6).optional(),
});

export const configSchema = z
  .strictObject({
    listen: z
      .strictObject({
        host: z.string().default('127.0.0.1'),
        port: z.int().min(0).max(65_535).default(8787),
        /** A listener of its own for the operator paths; without it they are served beside the client paths. */
        admin: z.strictObject({ host: z.string().default('127.0.0.1'), port: z.int().min(0).max(65_535) }).optional(),
        /** Proxies in front of us, as CIDR blocks: only what these say in `x-forwarded-for` is believed. */
        trusted_proxies: z.array(cidr).max(1000).default([]),
      })
      .prefault({}),
    data: z.string().default('./.plimsoll'),
    stores: z
      .strictObject({
        control: z
          .string()
          .regex(/^(embedded|postgres(ql)?:\/\/.+)$/, 'embedded, or postgres://user@host/db')
          .default('embedded'),
        limits: z
          .string()
          .regex(
            /^(memory|rediss?:\/\/.+|redis-cluster:\/\/.+)$/,
            'memory, redis://host:port or redis-cluster://host:port,host:port',
          )
          .default('memory'),
      })
      .prefault({}),
    keys: z
      .strictObject({
        /** What keys are hashed under. Made and kept in the data directory when absent, which only an embedded store allows. */
        pepper: secret.optional(),
      })
      .prefault({}),
    regions: z
      .array(z.strictObject({ id, jurisdiction: id.optional() }))
      .max(100)
      .default([]),
    pools: z.array(pool).max(1000).default([]),
    models: z.array(model).max(1000).default([]),
    limits: z
      .strictObject({
        /** For each key. */
        defaults: limitValues.default({}),
        /** Models that are counted together. A model of no class is a class of its own. */
        model_classes: z
          .array(z.strictObject({ id, models: z.array(id).min(1).max(1000) }))
          .max(100)
          .default([]),
        rules: z.array(limitRuleSchema).max(200).default([]),
        tiers: z.array(tierSchema).max(50).default([]),
        /** Most subjects of one kind that this process keeps meters for; those beyond share one. */
        subjects_max: z.int().min(1_000).max(100_000_000).default(2_000_000),
        /** How long a share taken from the shared store may be spent, and how long a lost place stays lost. */
        lease_ms: z.int().min(200).max(60_000).default(2_000),
        /** Requests with keys that are not known, a minute from one address block (IPv4 /32, IPv6 /64), before it must wait. */
        unknown_keys_per_minute: z.int().min(1).max(1e6).default(60),
        /** Where a client may appeal when its organization names no place of its own. */
        appeal_url: z.string().max(500).optional(),
      })
      .prefault({}),
    abuse: abuseSchema.prefault({}),
    timeouts: z
      .strictObject({
        /** To open a connection to a replica. */
        connect_ms: ms.default(3_000),
        /** From the start of an attempt to its first content. */
        first_token_ms: ms.default(120_000),
        /** Between two pieces of a streamed answer. */
        idle_ms: ms.default(60_000),
        /** A whole request, all attempts. */
        total_ms: ms.default(600_000),
        /** For the client to send its body. */
        body_ms: ms.default(60_000),
        /** For streams to end after SIGTERM; what runs longer is cut with an error event. */
        drain_ms: ms.default(30_000),
      })
      .prefault({}),
    bounds: z
      .strictObject({
        body_bytes: bytes.default(32 * 1024 * 1024),
        /** Request bodies held in memory, all requests together. */
        bodies_bytes: bytes.default(512 * 1024 * 1024),
        /** A whole answer, or one event of a streamed one. */
        answer_bytes: bytes.default(64 * 1024 * 1024),
        json_depth: z.int().min(8).max(10_000).default(128),
        json_values: z.int().min(100).max(100_000_000).default(250_000),
        header_bytes: z.int().min(1024).max(1_048_576).default(32_768),
        requests: z.int().min(1).max(1_000_000).default(20_000),
        replica_connections: z.int().min(1).max(65_535).default(2_048),
      })
      .prefault({}),
    attempts: z
      .strictObject({
        max: z.int().min(1).max(10).default(3),
        /** Second and later attempts, as a share of requests over the last ten seconds. */
        budget_ratio: z.number().min(0).max(1).default(0.1),
        /** …and at least this many a second. */
        budget_floor_per_second: z.number().min(0).max(1000).default(3),
      })
      .prefault({}),
    journal: z
      .strictObject({
        sync_ms: z.int().min(1).max(10_000).default(50),
        bytes_max: bytes.min(1024 * 1024).default(1024 * 1024 * 1024),
        /** What to do with a request that could not be recorded: refuse it, or serve it and say so. */
        when_full: z.enum(['refuse', 'serve']).default('refuse'),
      })
      .prefault({}),
    telemetry: z
      .strictObject({ otlp_endpoint: httpUrl.optional(), sample_ratio: z.number().min(0).max(1).default(0.01) })
      .prefault({}),
    log: z.strictObject({ level: z.enum(['debug', 'info', 'warn', 'error']).default('info') }).prefault({}),
  })
  .superRefine((value, context) => {
    const unique = (path: string, ids: readonly string[]) =>
      ids.forEach((name, index) => {
        if (ids.indexOf(name) !== index)
          context.addIssue({ code: 'custom', path: [...path.split('.'), index, 'id'], message: `${name} is used twice` });
      });
    unique(
      'regions',
      value.regions.map((region) => region.id),
    );
    unique(
      'pools',
      value.pools.map((one) => one.id),
    );
    unique(
      'models',
      value.models.map((one) => one.id),
    );
    unique(
      'limits.rules',
      value.limits.rules.map((one) => one.id),
    );
    unique(
      'limits.tiers',
      value.limits.tiers.map((one) => one.id),
    );
    value.pools.forEach((one, index) => {
      if (one.region !== undefined && !value.regions.some((region) => region.id === one.region))
        context.addIssue({ code: 'custom', path: ['pools', index, 'region'], message: `no region is called ${one.region}` });
    });
    value.models.forEach((one, index) =>
      one.serve.forEach((serve, place) => {
        if (!value.pools.some((candidate) => candidate.id === serve.pool))
          context.addIssue({
            code: 'custom',
            path: ['models', index, 'serve', place, 'pool'],
            message: `no pool is called ${serve.pool}`,
          });
      }),
    );
  });

export type Config = z.infer<typeof configSchema>;
export type PoolConfig = Config['pools'][number];
export type ModelConfig = Config['models'][number];
