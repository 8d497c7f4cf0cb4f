import type { IncomingMessage } from 'node:http';
import { refusal, type Refusal } from '#contracts/errors';
import { err, ok, type Result } from '#core/kernel';
import type { Model, Topology } from './topology.ts';

/** Anthropic's default and largest page. */
const PAGE_DEFAULT = 20;
const PAGE_MAX = 1_000;

/** Which family's list of models a client expects: told by how it authenticates and which headers it sends. */
export function modelsDialect(incoming: IncomingMessage): 'anthropic' | 'openai_chat' {
  return incoming.headers['anthropic-version'] !== undefined || incoming.headers['x-api-key'] !== undefined
    ? 'anthropic'
    : 'openai_chat';
}

export interface ModelsQuery {
  readonly dialect: 'anthropic' | 'openai_chat';
  /** One model, or null for the list. */
  readonly id: string | null;
  readonly search: URLSearchParams;
  /** When the topology was built, wall ms: the best date we know for a model. */
  readonly createdAtMs: number;
}

/** `GET /v1/models` and `GET /v1/models/{id}`, in either family's shape. */
export function describeModels(topology: Topology, { dialect, id, search, createdAtMs }: ModelsQuery): Result<unknown, Refusal> {
  const describe = (model: Model): unknown =>
    dialect === 'anthropic' ? anthropicModel(model, createdAtMs) : openAiModel(model, createdAtMs);
  if (id !== null) {
    const model = topology.models.get(id);
    return model
      ? ok(describe(model))
      : err(refusal('model_not_found', `model: ${id.slice(0, 256)} is not served here`, { param: 'model' }));
  }
  const all = [...topology.models.values()];
  if (dialect !== 'anthropic') return ok({ object: 'list', data: all.map(describe) });
  const page = pageOf(all, search);
  if (!page.ok) return page;
  const { models, hasMore } = page.value;
  return ok({
    data: models.map(describe),
    has_more: hasMore,
    first_id: models[0]?.id ?? null,
    last_id: models.at(-1)?.id ?? null,
  });
}

function pageOf(
  all: readonly Model[],
  search: URLSearchParams,
): Result<{ readonly models: readonly Model[]; readonly hasMore: boolean }, Refusal> {
  const limit = Number(search.get('limit') ?? PAGE_DEFAULT);
  if (!Number.isInteger(limit) || limit < 1 || limit > PAGE_MAX)
    return err(refusal('invalid_request', `limit: Input should be a whole number from 1 to ${PAGE_MAX}`, { param: 'limit' }));
  const after = search.get('after_id');
  const before = search.get('before_id');
  const indexOf = (cursor: string): number => all.findIndex((model) => model.id === cursor);
  for (const [param, cursor] of [
    ['after_id', after],
    ['before_id', before],
  ] as const)
    if (cursor !== null && indexOf(cursor) === -1) return err(refusal('invalid_request', `${param}: no such model`, { param }));
  if (before !== null) {
    const end = indexOf(before);
    return ok({ models: all.slice(Math.max(0, end - limit), end), hasMore: end - limit > 0 });
  }
  const start = after === null ? 0 : indexOf(after) + 1;
  return ok({ models: all.slice(start, start + limit), hasMore: start + limit < all.length });
}

function anthropicModel(model: Model, createdAtMs: number): unknown {
  return {
    type: 'model',
    id: model.id,
    display_name: model.displayName,
    created_at: new Date(createdAtMs).toISOString(),
    ...(model.maxInputTokens === null ? {} : { max_input_tokens: model.maxInputTokens }),
    ...(model.maxOutputTokens === null ? {} : { max_tokens: model.maxOutputTokens }),
  };
}

function openAiModel(model: Model, createdAtMs: number): unknown {
  return { id: model.id, object: 'model', created: Math.floor(createdAtMs / 1000), owned_by: 'plimsoll' };
}
