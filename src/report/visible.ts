/**
 * What comes from outside, made safe to be shown: by hubs, logs, messages, files and the store come texts that somebody
 * else wrote, and a terminal obeys what it is sent. All that is printed, logged or put into a page goes through here.
 */

/**
 * Control characters (C0, DEL, C1), what turns the direction of text, and what ends a line for some readers alone. Without
 * the first of a sequence, its rest is plain text, so it does not matter whether a sequence is complete.
 */
const UNSEEN = /[\p{Cc}\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;

const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r' };

const escapeOf = (character: string): string =>
  SHORT[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** A text on one line: what a terminal would obey is spelled as in JSON, such as `\u001b`; tabs stay. */
export const visible = (text: string): string =>
  text.replace(UNSEEN, (character) => (character === '\t' ? character : escapeOf(character)));

/** The same of several lines that the program itself has made. JSON with it is the same JSON. */
export const visibleLines = (text: string): string =>
  text.replace(UNSEEN, (character) =>
    character === '\t' || character === '\n' ? character : escapeOf(character),
  );

/** Plain data with every text in it made visible, each on one line. */
export function visibleIn<T>(data: T): T {
  return visibleValue(data) as T;
}

function visibleValue(value: unknown): unknown {
  if (typeof value === 'string') return visible(value);
  if (Array.isArray(value)) return value.map(visibleValue);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, visibleValue(one)]));
}
