/** `kmod-gate run`: the gate, until it is told to stop. */
import type { Config } from '../config/config.ts';
import { startGate } from './gate.ts';
import { createLog, type LogFormat } from './log.ts';
import { createProgress } from './progress.ts';
import { newestReports, webLinks } from './report.ts';
import { standardOutput } from './text.ts';

/** How often the live table is drawn, ms. */
const REDRAW = 1_000;

/**
 * Run until `stop` fires. Progress goes to standard output, the log to standard error; on a terminal both
 * go through the live display, so that neither tears the other.
 */
export async function run(
  config: Config,
  { format, level, stop }: { format: LogFormat; level: string; stop: AbortSignal },
): Promise<void> {
  const live = process.stdout.isTTY === true;
  const progress = createProgress(standardOutput(), live);
  const log = createLog(
    format,
    level,
    live ? { write: (line) => progress.line(line.trimEnd()) } : process.stderr,
  );
  const gate = await startGate(config, { log, onEntry: progress.entry });
  progress.line(
    `kmod-gate runs: ${config.gates.map(({ name, watch }) => `${name} watches ${watch}`).join(', ')}${gate.url ? `; ${gate.url}` : ''}`,
  );
  const links = webLinks(config.koji.weburl);
  const redraw = setInterval(async () => progress.runs(await newestReports(gate.store, links, 10)), REDRAW);
  await new Promise<void>((resolve) => {
    if (stop.aborted) resolve();
    stop.addEventListener('abort', () => resolve(), { once: true });
  });
  clearInterval(redraw);
  await gate.stop();
  progress.line('kmod-gate stopped; the next start goes on from here');
}
