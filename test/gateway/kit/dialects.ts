import * as answers from './answers.ts';

/** What a client of each dialect sends and a server of it answers. */
export interface DialectCase {
  readonly name: string;
  readonly path: string;
  readonly pool: { readonly dialect: 'anthropic' | 'openai'; readonly responses?: boolean };
  readonly request: (more?: object) => object;
  readonly answer: (text: string, model?: string) => string;
  readonly events: (words: readonly string[], model?: string) => readonly string[];
}

export const ANTHROPIC: DialectCase = {
  name: 'Anthropic Messages',
  path: answers.MESSAGES,
  pool: { dialect: 'anthropic' },
  request: answers.messagesRequest,
  answer: answers.messagesAnswer,
  events: answers.messagesEvents,
};
export const CHAT: DialectCase = {
  name: 'OpenAI Chat Completions',
  path: answers.CHAT,
  pool: { dialect: 'openai' },
  request: answers.chatRequest,
  answer: answers.chatAnswer,
  events: (words, model = 'org/harbor-70b') => answers.chatChunks(words, { model }),
};
export const RESPONSES: DialectCase = {
  name: 'OpenAI Responses',
  path: answers.RESPONSES,
  pool: { dialect: 'openai', responses: true },
  request: answers.responsesRequest,
  answer: answers.responsesAnswer,
  events: answers.responsesEvents,
};

export const DIALECTS: readonly DialectCase[] = [ANTHROPIC, CHAT, RESPONSES];
