import { anthropicClient } from './anthropic-client.ts';
import { chatClient } from './chat-client.ts';
import type { ClientDialect, DialectName } from './client-dialect.ts';
import { responsesClient } from './responses-client.ts';

export const CLIENTS: Readonly<Record<DialectName, ClientDialect>> = {
  anthropic: anthropicClient,
  'openai-chat': chatClient,
  'openai-responses': responsesClient,
};
