/** `kmod-gate run`: the gate, until it is told to stop. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../config/config.ts';
import { startGate } from './gate.ts';
import { createLog, type LogFormat } from './log.ts';
import { createProgress, type Progress } from './progress.ts';
import { listRuns, type Reporting, reporting } from './report.ts';
import { standardOutput } from './text.ts';

/** How often the live table is drawn, in ms, and how many runs it has. */
const REDRAW = 1_000;
const LISTED = 10;

export interface RunOptions {
  readonly format: LogFormat;
  readonly level: string;
  readonly stop: AbortSignal;
  /** As in GateOptions. */
  readonly movedFrom?: string;
}

/**
 * Run until `stop` fires. Progress goes to standard output, the log to standard error; on a terminal both
 * go through the live display, so that neither tears the other.
 */
export async function run(config: Config, { format, level, stop, movedFrom }: RunOptions): Promise<void> {
  const live = process.stdout.isTTY === true;
  const progress = createProgress(standardOutput(), live);
  const log = createLog(
    format,
    level,
    live ? { write: (line) => progress.line(line.trimEnd()) } : process.stderr,
  );
  const gate = await startGate(config, {
    ...{ log, onEntry: progress.entry },
    ...(movedFrom !== undefined && { movedFrom }),
  });
  progress.line(
    `kmod-gate runs: ${config.gates.map(({ name, watch }) => `${name} watches ${watch}`).join(', ')}${gate.url ? `; ${gate.url}` : ''}`,
  );
  const redrawn = live ? redraw(reporting(config, gate.store), progress, stop) : undefined;
  await new Promise<void>((resolve) => {
    if (stop.aborted) resolve();
    stop.addEventListener('abort', () => resolve(), { once: true });
  });
  await redrawn;
  await gate.stop();
  progress.line('kmod-gate stopped; the next start goes on from here');
}

/** Draw the live table again and again. A table that cannot be drawn is no reason to stop gating. */
async function redraw(reports: Reporting, progress: Progress, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    await listRuns(reports, { limit: LISTED }).then(
      (page) => progress.runs(page?.runs ?? []),
      () => {},
    );
    await sleep(REDRAW, undefined, { signal: stop }).catch(() => {});
  }
}
