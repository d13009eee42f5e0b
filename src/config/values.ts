/** Kinds of values in the configuration, for its schema. An error text completes the sentence "expected …". */
import { z } from 'zod';
import { parseQuietTime } from '../core/policy.ts';

export const DAY = 86_400_000;
const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: DAY };

/** Node's timers overflow, and fire at once, a little later than this. */
const LONGEST = 24 * DAY;

/** Milliseconds of a time such as `0s`, `500ms`, `30s`, `5m`, `2h`, `1d`, `3w`; undefined if it is none. */
export function parseTime(text: string): number | undefined {
  const [, count, unit = ''] = /^(\d+)(ms|s|m|h|d|w)$/.exec(text) ?? [];
  const ms = Number(count) * ({ ...UNITS, w: 7 * DAY }[unit] ?? Number.NaN);
  return Number.isNaN(ms) ? undefined : ms;
}

/** The same as a duration that a timer can wait for; undefined if it is none, zero, or over 24 days. */
export function parseDuration(text: string): number | undefined {
  const ms = parseTime(text) ?? 0;
  return ms > 0 && ms <= LONGEST ? ms : undefined;
}

/** The same as a duration of any length above zero. */
export function parseSpan(text: string): number | undefined {
  const ms = parseTime(text) ?? 0;
  return ms > 0 && Number.isSafeInteger(ms) ? ms : undefined;
}

/** Milliseconds as a duration in the largest unit that divides them: the inverse of parseDuration. */
export function formatDuration(ms: number): string {
  const [unit, size] = Object.entries(UNITS).findLast(([, size]) => ms % size === 0) ?? ['ms', 1];
  return `${ms / size}${unit}`;
}

/** A string that is read into something else; `read` answers undefined for what it cannot read. */
export const textRead = <T>(expected: string, read: (text: string) => T | undefined) =>
  z.string({ error: expected }).transform((text, context) => {
    const value = read(text);
    if (value !== undefined) return value;
    context.addIssue({ code: 'custom', message: expected });
    return z.NEVER;
  });

export const duration = textRead(
  'a duration in quotes, up to 24 days, such as "500ms", "30s", "5m", "2h" or "1d"',
  parseDuration,
);

export const matching = (pattern: RegExp, expected: string) =>
  z.string({ error: expected }).regex(pattern, { error: expected });

export const url = (expected: string, ...protocols: string[]) =>
  z.string({ error: expected }).refine(
    (text) => {
      if (!URL.canParse(text)) return false;
      const { protocol, host } = new URL(text);
      return protocols.includes(protocol) && host !== '';
    },
    { error: expected },
  );

const either = new Intl.ListFormat('en', { type: 'disjunction' });

export const choice = <const T extends readonly string[]>(...values: T) =>
  z.enum(values, { error: either.format(values.map((value) => JSON.stringify(value))) });

export const integer = (low: number, high: number) => {
  const error = `a whole number from ${low} to ${high}`;
  return z.int({ error }).min(low, { error }).max(high, { error });
};

/** A URL of the hub or of its web pages. */
export const httpUrl = url('an http:// or https:// URL', 'http:', 'https:');
export const nonEmpty = matching(/./, 'a text that is not empty');
export const list = <T extends z.ZodType>(item: T, expected: string) => z.array(item, { error: expected });

export const quietTime = textRead(
  'a quiet time in UTC, such as "Fri 16:00 - Mon 07:00" or "22:00 - 06:00"',
  parseQuietTime,
);
