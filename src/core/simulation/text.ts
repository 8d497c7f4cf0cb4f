import { type Draw, pick } from './seeded.ts';

/** How every simulated answer in prose begins, so that nobody takes it for a model's. */
export const SIMULATED_PREFACE = 'This is simulated text, not the work of a model. ';

const OPENINGS = [
  'In general,',
  'As a rule,',
  'Most days,',
  'At first,',
  'After a while,',
  'By evening,',
  'Now and then,',
] as const;
const SUBJECTS = [
  'the harbor',
  'a small boat',
  'the tide',
  'the lighthouse',
  'a quiet pier',
  'the chart',
  'the crew',
  'a north wind',
] as const;
const VERBS = ['follows', 'passes', 'meets', 'carries', 'leaves', 'crosses', 'finds', 'keeps'] as const;
const OBJECTS = [
  'the shore',
  'a long line',
  'the morning light',
  'calm water',
  'the old road',
  'a steady course',
  'the cargo',
] as const;
const ENDINGS = ['in good order', 'without hurry', 'as before', 'before noon', 'with some care', 'again and again'] as const;

/**
 * Plain English sentences about nothing, after {@link SIMULATED_PREFACE}.
 * @param draw - decides the words
 * @param charactersMin - ends with the first sentence that reaches this length, 0 or more; ASCII, so bytes are characters
 */
export function simulatedProse(draw: Draw, charactersMin: number): string {
  const sentences: string[] = [];
  // Each sentence brings a space, the first one's is in the preface.
  let length = SIMULATED_PREFACE.length - 1;
  while (sentences.length === 0 || length < charactersMin) {
    const sentence = simulatedSentence(draw);
    sentences.push(sentence);
    length += sentence.length + 1;
  }
  return SIMULATED_PREFACE + sentences.join(' ');
}

/** One sentence, with its full stop. */
function simulatedSentence(draw: Draw): string {
  const clause = `${pick(draw, SUBJECTS)} ${pick(draw, VERBS)} ${pick(draw, OBJECTS)} ${pick(draw, ENDINGS)}`;
  return draw() < 0.4 ? `${pick(draw, OPENINGS)} ${clause}.` : `${clause.charAt(0).toUpperCase()}${clause.slice(1)}.`;
}

/**
 * Sentences of a chain of thought, likewise about nothing.
 * @param charactersMin - as in {@link simulatedProse}
 */
export function simulatedThought(draw: Draw, charactersMin: number): string {
  let text = 'Simulated thinking:';
  while (text.length < charactersMin) text += ` ${simulatedSentence(draw)}`;
  return text;
}

/** A short lower-case phrase, for values in generated arguments. */
export function simulatedPhrase(draw: Draw): string {
  return `${pick(draw, SUBJECTS)} ${pick(draw, ENDINGS)}`;
}

/**
 * How long an unscripted answer is, in tokens: log-normal, since most answers are short and a few are long.
 * @param median - tokens, 1 or more; the answer is between an eighth and eight times of it
 */
export function drawAnswerTokens(draw: Draw, median: number): number {
  const normal = Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw());
  const tokens = Math.round(median * Math.exp(0.5 * normal));
  return Math.max(1, Math.ceil(median / 8), Math.min(tokens, median * 8));
}
