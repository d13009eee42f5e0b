/** The log: pino's JSON lines, or the same made readable. */
import { type DestinationStream, type Logger, pino } from 'pino';
import { prettyFactory } from 'pino-pretty';
import { visible, visibleLines } from '../report/visible.ts';

export type LogFormat = 'json' | 'pretty';

/** A logger of `level` and above. Nothing secret is ever given to it; keys that sound so are blanked all the same. */
export function createLog(format: LogFormat, level: string, stream: DestinationStream): Logger {
  const options = { level, base: null, redact: ['password', '*.password'] };
  if (format === 'json') return pino(options, { write: (line) => stream.write(visibleLines(line)) });
  const readable = prettyFactory({
    ignore: 'part',
    messageFormat: '{part}: {msg}',
    colorize: false,
    singleLine: true,
  });
  return pino(options, { write: (line) => stream.write(visibleLines(readable(oneLine(line)))) });
}

/** A record whose message breaks no line; all else that is made readable is JSON, or an indented stack. */
function oneLine(json: string): object {
  const record: Record<string, unknown> = JSON.parse(json);
  return typeof record['msg'] === 'string' ? { ...record, msg: visible(record['msg']) } : record;
}
