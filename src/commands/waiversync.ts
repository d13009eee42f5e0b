/** The WaiverDB that a gate's configuration names, read and written as often as the hub is swept. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Config } from '../config/config.ts';
import { LONGEST_WAIVER } from '../config/schema.ts';
import { readText, SECRET_MAX } from '../files/read.ts';
import type { Store } from '../store/store.ts';
import { connectWaiverDb, type WaiverDb, WaiverDbError } from '../waiverdb/client.ts';
import { type Sync, syncWaivers } from '../waiverdb/sync.ts';

/** The WaiverDB of a configuration; undefined where it names none. */
function waiverDbOf({ waiverdb }: Config, stop: AbortSignal): WaiverDb | undefined {
  if (!waiverdb) return undefined;
  const { url, tokenFile } = waiverdb;
  return connectWaiverDb({
    url,
    stop,
    ...(tokenFile !== undefined && { token: () => readToken(tokenFile) }),
  });
}

/** Read at each write: tokens are renewed while a gate runs. No message has it. */
function readToken(file: string): string {
  let token: string;
  try {
    token = readText(file, SECRET_MAX).trim();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new WaiverDbError(`token_file ${file} cannot be read: ${why}`, false, { cause });
  }
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new WaiverDbError(`token_file ${file} holds no token: that is one word`, false);
}

/** What a sync is made with. */
function syncOf(
  { waiverdb, gates, longestWaivers = {}, sweep }: Config,
  store: Store,
  db: WaiverDb,
  clock: Pick<Sync, 'now' | 'calendar'>,
): Sync | undefined {
  if (!waiverdb) return undefined;
  const longest = (gate: string) => {
    const said = longestWaivers[gate];
    return said === undefined ? LONGEST_WAIVER : said;
  };
  return { store, db, settings: waiverdb, gates, longest, settle: sweep.settle, ...clock };
}

export interface WaiverSync {
  /** Read and write once. Each trouble is told once, and that it is over. Never rejects. */
  turn(): Promise<void>;
  /** The same as often as the hub is swept, until stopped. */
  atSweeps(): Promise<void>;
}

export function waiverSync(
  store: Store,
  config: Config,
  now: () => number,
  log: Logger,
  stop: AbortSignal,
): WaiverSync {
  const db = waiverDbOf(config, stop);
  const sync = db && syncOf(config, store, db, { now, calendar: Date.now });
  let told = new Set<string>();
  const turn = async () => {
    if (!sync) return;
    try {
      const problems = new Set(await syncWaivers(sync));
      // What is cut off by a stop is no trouble.
      if (stop.aborted) return;
      for (const problem of problems) if (!told.has(problem)) log.warn(`WaiverDB: ${problem}`);
      if (told.size > 0 && problems.size === 0) log.info('WaiverDB: is read again');
      told = problems;
    } catch (err) {
      log.warn({ err }, 'waivers of the WaiverDB are not in the store');
    }
  };
  return {
    turn,
    async atSweeps() {
      while (sync && !stop.aborted) {
        await turn();
        await sleep(config.sweep.every, undefined, { signal: stop }).catch(() => {});
      }
    },
  };
}
