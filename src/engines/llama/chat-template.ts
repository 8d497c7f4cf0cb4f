import { err, ok, type Result } from '#core/kernel';
import type { ChatMessage } from './read-prompt.ts';

/** A piece of a prompt: the template's own control token, or text in which nothing is one. */
export interface PromptPiece {
  readonly kind: 'control' | 'text';
  readonly text: string;
}

/** Renders a model's own template (Jinja, from its GGUF file). */
export type RenderTemplate = (variables: {
  readonly messages: readonly ChatMessage[];
  readonly add_generation_prompt: boolean;
}) => string;

/**
 * Lays out a conversation by the model's own template, and keeps apart what the template wrote and what people wrote: the
 * template is rendered with placeholders for the contents, so a `<|im_end|>` that someone typed is never mistaken for the end of
 * their turn. Adjacent text is joined again, so that harmless conversations get exactly the tokens that the template's text has.
 * A conversation that ends with the assistant's words is left open there, for the model to go on.
 * @param messages - at least one
 * @param controls - the texts of the vocabulary's control tokens
 * @returns the pieces; or, in words safe to show, why the template does not take this conversation
 */
export function layOut(
  messages: readonly ChatMessage[],
  render: RenderTemplate,
  controls: readonly string[],
): Result<readonly PromptPiece[], string> {
  const isOpen = messages.at(-1)?.role === 'assistant';
  let rendered: string;
  try {
    rendered = render({
      messages: messages.map(({ role }, at) => ({ role, content: placeholder(at) })),
      add_generation_prompt: !isOpen,
    });
  } catch (error) {
    // Templates refuse by raising: roles that do not alternate, no system message. They saw placeholders only, no content.
    return err(`the model's chat template refused the messages: ${error instanceof Error ? error.message : String(error)}`);
  }
  const dropped = messages.findIndex((_, at) => !rendered.includes(placeholder(at)));
  if (dropped >= 0) return err(`the model's chat template has no place for message ${dropped} (${messages[dropped]?.role})`);
  if (isOpen) {
    const last = placeholder(messages.length - 1);
    rendered = rendered.slice(0, rendered.lastIndexOf(last) + last.length);
  }
  return ok(joinText(splitRendered(rendered, messages, controls)));
}

/** Noncharacters (U+FDD0, U+FDD1): no template and no language uses them. */
function placeholder(at: number): string {
  return `\uFDD0${at}\uFDD1`;
}

function splitRendered(rendered: string, messages: readonly ChatMessage[], controls: readonly string[]): readonly PromptPiece[] {
  const byLength = controls.filter((text) => text !== '').toSorted((a, b) => b.length - a.length);
  const pattern = new RegExp(
    ['\uFDD0\\d+\uFDD1', ...byLength.map((text) => text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&'))].join('|'),
    'g',
  );
  const pieces: PromptPiece[] = [];
  let from = 0;
  for (const match of rendered.matchAll(pattern)) {
    pieces.push({ kind: 'text', text: rendered.slice(from, match.index) });
    const isContent = match[0].startsWith('\uFDD0');
    if (isContent) pieces.push({ kind: 'text', text: messages[Number(match[0].slice(1, -1))]?.content ?? '' });
    else pieces.push({ kind: 'control', text: match[0] });
    from = match.index + match[0].length;
  }
  pieces.push({ kind: 'text', text: rendered.slice(from) });
  return pieces;
}

function joinText(pieces: readonly PromptPiece[]): readonly PromptPiece[] {
  const joined: PromptPiece[] = [];
  for (const piece of pieces) {
    if (piece.text === '') continue;
    const last = joined.at(-1);
    if (piece.kind === 'text' && last?.kind === 'text') joined.splice(-1, 1, { kind: 'text', text: last.text + piece.text });
    else joined.push(piece);
  }
  return joined;
}
