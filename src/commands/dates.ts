/** Points in time as people name them on the command line. */
import { parseSpan } from '../config/schema.ts';
import { CheckError } from './error.ts';

const DATE = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:Z|[+-]\d\d:?\d\d)?)?$/;
const ZONED = /^\d{4}-\d\d-\d\d$|(?:Z|[+-]\d\d:?\d\d)$/;

/** Milliseconds of a date, in UTC where it names no zone, or so long after `now` as a duration says, or before. */
function parsePoint(option: string, text: string, now: number, direction: 1 | -1): number {
  // No timer waits for it, so it may be of any length.
  const duration = parseSpan(text);
  const date = DATE.test(text) ? Date.parse(ZONED.test(text) ? text : `${text}Z`) : Number.NaN;
  const at = duration === undefined ? date : now + direction * duration;
  // A calendar has its ends, too.
  if (!Number.isNaN(new Date(at).getTime())) return at;
  throw new CheckError(
    `${option} ${text}: give a date such as 2026-12-01 or 2026-12-01T16:00Z, or a duration such as 7d`,
  );
}

/** A date to come, or a duration from now. Throws CheckError. */
export function parseUntil(text: string, now: number): number {
  const at = parsePoint('--until', text, now, 1);
  if (at <= now) throw new CheckError(`--until ${text}: is over already`);
  return at;
}

/** A date, or a duration before now. Throws CheckError. */
export const parseSince = (text: string, now: number): number => parsePoint('--since', text, now, -1);
