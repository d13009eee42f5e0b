/** What a gate's policy is where nothing is said, and its quiet times. */
import type { Policy, QuietTime } from './model.ts';

const HOUR = 3_600_000;

/** Where nothing is said: broken kmods block, doubts hold, and nothing waits without end. */
export const DEFAULT_POLICY: Policy = {
  inconclusive: 'hold',
  unattributed: 'block',
  proof: 'repo',
  evidence_age: 7 * 24 * HOUR,
  advisory_limit: null,
  supersede: 'keep',
  retries: { kmod: 2, run: 50, day: 200 },
  longest_build: 24 * HOUR,
  longest_run: 7 * 24 * HOUR,
  longest_hold: 7 * 24 * HOUR,
  after_hold: 'block',
  quiet: [],
  wait_for: null,
};

const DAY = 24 * 60;
const WEEK = 7 * DAY;
const DAYS = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];
const TIME = /^(?:(Mon|Tue|Wed|Thu|Fri|Sat|Sun) )?([01]\d|2[0-3]):([0-5]\d)$/;

/** Read `Fri 16:00 - Mon 07:00` or, for each day, `22:00 - 06:00`, in UTC; undefined for anything else. */
export function parseQuietTime(text: string): QuietTime[] | undefined {
  const [from, to, ...more] = text.split(/ *- */).map(parseTime);
  if (!from || !to || more.length > 0 || (from.day === undefined) !== (to.day === undefined))
    return undefined;
  if (from.day !== undefined && to.day !== undefined) {
    const span = { from: from.day * DAY + from.minute, to: to.day * DAY + to.minute };
    return span.from === span.to ? undefined : [span];
  }
  if (from.minute === to.minute) return undefined;
  const over = to.minute < from.minute ? DAY : 0;
  return DAYS.map((_, day) => ({
    from: day * DAY + from.minute,
    to: (day * DAY + to.minute + over) % WEEK,
  }));
}

function parseTime(text: string): { day: number | undefined; minute: number } | undefined {
  const match = TIME.exec(text.trim());
  if (!match) return undefined;
  const [, day, hours, minutes] = match;
  return { day: day ? DAYS.indexOf(day) : undefined, minute: Number(hours) * 60 + Number(minutes) };
}

/** When the quiet time that holds at `now` ends (ms); undefined where there is none. */
export function quietUntil(quiet: readonly QuietTime[], now: number): number | undefined {
  const start = Math.floor(now / 60_000);
  let end = start;
  // One quiet time may begin where another ends: follow them to the end, for a week at the most.
  while (end < start + WEEK) {
    const ahead = quiet.map((time) => minutesLeft(time, end)).filter((minutes) => minutes > 0);
    if (ahead.length === 0) break;
    end += Math.max(...ahead);
  }
  return end > start ? end * 60_000 : undefined;
}

/** How many minutes of a quiet time are left at a minute since the epoch, which began on a Thursday; 0 outside of it. */
function minutesLeft({ from, to }: QuietTime, at: number): number {
  const minute = (at + 3 * DAY) % WEEK;
  const inside = from < to ? from <= minute && minute < to : minute >= from || minute < to;
  return inside ? (to - minute + WEEK) % WEEK : 0;
}
