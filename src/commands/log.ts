/** The log: pino's JSON lines, the same made readable, or that for journald. */
import { type DestinationStream, type Logger, type LoggerOptions, pino } from 'pino';
import { prettyFactory } from 'pino-pretty';
import { visible, visibleLines } from '../report/visible.ts';

export type LogFormat = 'json' | 'pretty' | 'journald';

/**
 * A logger of `level` and above. Nothing secret is ever given to it; keys that sound so are blanked all the same.
 * `json`: levels by name, times in ISO 8601. `journald`: no time, as the journal has its own, and each line begins with
 * its priority, such as `<6>` (sd-daemon(3)).
 */
export function createLog(format: LogFormat, level: string, stream: DestinationStream): Logger {
  const options: LoggerOptions = { level, base: null, redact: ['password', '*.password'] };
  if (format === 'json')
    return pino({ ...options, ...BY_NAME }, { write: (line) => stream.write(visibleLines(line)) });
  const forJournal = format === 'journald';
  const readable = prettyFactory({
    ignore: forJournal ? 'part,time,level' : 'part',
    messageFormat: '{part}: {msg}',
    colorize: false,
    singleLine: true,
  });
  const write = (json: string) => {
    const record = oneLine(json);
    const text = visibleLines(readable(record));
    stream.write(forJournal ? withPriority(text, Number(record['level'])) : text);
  };
  return pino(options, { write });
}

const BY_NAME: LoggerOptions = {
  formatters: { level: (label) => ({ level: label }) },
  timestamp: pino.stdTimeFunctions.isoTime,
};

/** Syslog's priorities by pino's levels. */
const PRIORITIES: Readonly<Record<number, number>> = { 10: 7, 20: 7, 30: 6, 40: 4, 50: 3, 60: 2 };

/** Each line with its priority: the journal takes every line for a message of its own. */
function withPriority(text: string, level: number): string {
  const lines = text.trimEnd().split('\n');
  return lines.map((line) => `<${PRIORITIES[level] ?? 6}>${line.trimEnd()}\n`).join('');
}

/** A record whose message breaks no line; all else that is made readable is JSON, or an indented stack. */
function oneLine(json: string): Record<string, unknown> {
  const record: Record<string, unknown> = JSON.parse(json);
  return typeof record['msg'] === 'string' ? { ...record, msg: visible(record['msg']) } : record;
}
