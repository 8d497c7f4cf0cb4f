import { lookUp } from './json.ts';

/**
 * Anthropic's error types, by status. Source: platform.claude.com/docs/en/api/errors.
 * @param status - an HTTP status of 400 to 599
 */
export function anthropicErrorType(status: number): string {
  return lookUp(ANTHROPIC_TYPES, String(status)) ?? (status >= 500 ? 'api_error' : 'invalid_request_error');
}

/** The HTTP status that Anthropic gives errors of `type`; 500 for a type we do not know. */
export function anthropicErrorStatus(type: string): number {
  const entry = Object.entries(ANTHROPIC_TYPES).find(([, candidate]) => candidate === type);
  return entry === undefined ? 500 : Number(entry[0]);
}

const ANTHROPIC_TYPES: Readonly<Record<string, string>> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  402: 'billing_error',
  403: 'permission_error',
  404: 'not_found_error',
  409: 'conflict_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  500: 'api_error',
  504: 'timeout_error',
  529: 'overloaded_error',
};
