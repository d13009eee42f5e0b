/** The log: pino's JSON lines, or the same made readable. */
import { type DestinationStream, type Logger, pino } from 'pino';
import { prettyFactory } from 'pino-pretty';

export type LogFormat = 'json' | 'pretty';

/** A logger of `level` and above. Nothing secret is ever given to it; keys that sound so are blanked all the same. */
export function createLog(format: LogFormat, level: string, stream: DestinationStream): Logger {
  const options = { level, base: null, redact: ['password', '*.password'] };
  if (format === 'json') return pino(options, stream);
  const readable = prettyFactory({
    ignore: 'part',
    messageFormat: '{part}: {msg}',
    colorize: false,
    singleLine: true,
  });
  return pino(options, { write: (line) => stream.write(readable(line)) });
}
