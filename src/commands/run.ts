/** `kmod-gate run`: the gate, until it is told to stop, or for one sweep. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Logger } from 'pino';
import { type Config, ConfigError, describeConfig, formatMistakes } from '../config/config.ts';
import { isAlive } from '../http/health.ts';
import { HubError } from '../koji/hub.ts';
import { type RunningGate, startGate } from './gate.ts';
import { createLog, type LogFormat } from './log.ts';
import { serviceManager } from './notify.ts';
import { createProgress, type Progress } from './progress.ts';
import { listRuns, type Reporting, reporting } from './report.ts';
import { storeTrouble } from './storetrouble.ts';
import { standardOutput } from './text.ts';

/** How often the live table is drawn, in ms, and how many runs it has. */
const REDRAW = 1_000;
const LISTED = 10;

export interface RunOptions {
  readonly format: LogFormat;
  readonly level: string;
  readonly stop: AbortSignal;
  readonly version: string;
  /** As in GateOptions. */
  readonly movedFrom?: string;
}

/** Where a gate tells what it does. */
interface Outlet {
  readonly progress: Progress;
  readonly log: Logger;
  /** Standard output is a terminal. */
  readonly live: boolean;
  /** Of kmod-gate. */
  readonly version: string;
}

/**
 * Run until `stop` fires. Progress goes to standard output, the log to standard error; on a terminal both go through the live
 * display, so that neither tears the other. At SIGHUP the configuration is read again (`load`): all that a gate knows is in its
 * store, so it is stopped and started anew. A configuration that cannot be used changes nothing.
 * @throws StoreError, ListenError where the gate cannot start
 */
export async function run(
  first: Config,
  load: () => Promise<Config>,
  { stop, movedFrom, ...how }: RunOptions,
): Promise<void> {
  const outlet = createOutlet(how);
  const { progress, log } = outlet;
  const reload = createReload(stop);
  let config = first;
  let gate = await begin(config, outlet, movedFrom);
  const manager = serviceManager(
    process.env,
    () => isAlive(gate.health(), Date.now()),
    log.child({ part: 'systemd' }),
  );
  await manager.ready(watchedBy(config));
  for (;;) {
    const drawing = new AbortController();
    const drawn = outlet.live ? redraw(reporting(config, gate.store), progress, drawing.signal) : undefined;
    const wanted = await nextConfig(config, load, log, reload.next);
    drawing.abort();
    await drawn;
    if (!wanted) await manager.stopping();
    await gate.stop();
    if (!wanted) break;
    const begun = await begin(wanted, outlet).catch((err: unknown) => {
      log.error({ err }, 'no gate starts with the new configuration: the old one goes on');
    });
    if (begun) config = wanted;
    gate = begun ?? (await begin(config, outlet));
  }
  reload.end();
  progress.line('kmod-gate stopped; the next start goes on from here');
}

/**
 * Do what a sweep finds to do now, and no more: for a host where no program may run for long. Waits, builds and tag changes
 * that are under way are looked at again the next time.
 * @throws HubError where the hub does not answer, or nobody can log in; StoreError, also while another gate runs
 */
export async function runOnce(config: Config, { stop, movedFrom, ...how }: RunOptions): Promise<void> {
  const outlet = createOutlet(how);
  const gate = await begin(config, outlet, movedFrom, true);
  // What does not end is not waited for any longer than the stop does.
  const stopped = new Promise<void>((resolve, reject) => {
    stop.addEventListener('abort', () => gate.stop().then(resolve, reject));
  });
  await Promise.race([gate.over, stopped]);
  const trouble = gate.trouble();
  await gate.stop();
  const unwritten = gate.storeTrouble();
  if (unwritten) throw storeTrouble(config.store.url, unwritten);
  if (trouble) throw new HubError('unavailable', 'sweep', trouble.reason);
  outlet.progress.line('kmod-gate has looked once; the next look goes on from here');
}

function createOutlet({ format, level, version }: Omit<RunOptions, 'stop'>): Outlet {
  const live = process.stdout.isTTY === true;
  const progress = createProgress(standardOutput(), live);
  const display = { write: (line: string) => progress.line(line.trimEnd()) };
  return { progress, log: createLog(format, level, live ? display : process.stderr), live, version };
}

async function begin(
  config: Config,
  { progress, log, version }: Outlet,
  movedFrom?: string,
  once = false,
): Promise<RunningGate> {
  const gate = await startGate(config, {
    ...{ log, once, version, onEntry: progress.entry },
    ...(movedFrom !== undefined && { movedFrom }),
  });
  progress.line(`kmod-gate runs: ${watchedBy(config)}${gate.url ? `; ${gate.url}` : ''}`);
  return gate;
}

const watchedBy = ({ gates }: Config): string =>
  gates.map(({ name, watch }) => `${name} watches ${watch}`).join(', ');

/** SIGHUP, until `stop` fires: `next` waits for one, and answers whether it came. */
function createReload(stop: AbortSignal) {
  let asked = false;
  let wake = () => {};
  const hear = () => {
    asked = true;
    wake();
  };
  process.on('SIGHUP', hear);
  stop.addEventListener('abort', () => wake());
  return {
    async next(): Promise<boolean> {
      if (!asked && !stop.aborted)
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      asked = false;
      return !stop.aborted;
    },
    end: () => void process.off('SIGHUP', hear),
  };
}

/** The configuration to go on with, once another one is there that can be used; undefined: to stop. */
async function nextConfig(
  config: Config,
  load: () => Promise<Config>,
  log: Logger,
  reload: () => Promise<boolean>,
): Promise<Config | undefined> {
  while (await reload()) {
    try {
      const wanted = await load();
      if (!isDeepStrictEqual(wanted, config)) {
        for (const change of changesOf(config, wanted)) log.info(`configuration: ${change}`);
        return wanted;
      }
      log.info('the configuration is read again, and is the same');
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      log.error(`the configuration cannot be used, so the old one goes on: ${formatMistakes(error)}`);
    }
  }
  return undefined;
}

/** Lines that say what is no more, and what is new, as `config check` prints it. */
export function changesOf(before: Config, after: Config): string[] {
  const [old, fresh] = [before, after].map((config) => describeConfig(config).split('\n'));
  const gone = (old ?? []).filter((text) => !fresh?.includes(text)).map((text) => `- ${text.trim()}`);
  const come = (fresh ?? []).filter((text) => !old?.includes(text)).map((text) => `+ ${text.trim()}`);
  const told = [...gone, ...come];
  return told.length > 0 ? told : ['what its lists of symbols hold has changed'];
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
