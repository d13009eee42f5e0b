/** A running gate, assembled from its configuration: hub, store, bus, reconciler, dashboard. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { startConsumer } from '../bus/consumer.ts';
import type { Consumer, OnHint } from '../bus/intake.ts';
import type { Config } from '../config/config.ts';
import type { Entry } from '../core/model.ts';
import { span } from '../core/wording.ts';
import { serveDashboard } from '../http/dashboard.ts';
import type { Health } from '../http/health.ts';
import { getLoggedInUser } from '../koji/calls.ts';
import { connectHub } from '../koji/client.ts';
import { describeFeatures, detectFeatures, nameHub } from '../koji/features.ts';
import { type Hub, HubError } from '../koji/hub.ts';
import { typesFrom } from '../reconciler/kerneltypes.ts';
import { createReconciler } from '../reconciler/reconciler.ts';
import { byCalendar } from '../report/report.ts';
import { clockNotes, gateClock, knownOf, thisMachine } from '../store/clock.ts';
import { openStore } from '../store/open.ts';
import type { Store } from '../store/store.ts';
import { machineOf } from './machine.ts';
import { reporting } from './report.ts';
import { dashboardSources, listeners } from './sources.ts';
import { waiverSync } from './waiversync.ts';

export interface GateOptions {
  readonly log: Logger;
  /** Hears each journal line. */
  readonly onEntry?: (entry: Entry) => void;
  /** The URL that the configured hub had before, where the store knows it by that. */
  readonly movedFrom?: string;
  /** Another source of hints than the configured broker. */
  readonly subscribe?: (onHint: OnHint) => Consumer;
  /** Do what a sweep finds to do now, and no more: no bus, no dashboard. */
  readonly once?: boolean;
}

export interface RunningGate {
  readonly store: Store;
  /** Where the dashboard listens; undefined without `[http]`. */
  readonly url: string | undefined;
  /** First subscription to the bus, if there is one. */
  readonly subscribed: Promise<void>;
  /** With `once`: when all is done. */
  readonly over: Promise<void>;
  /** Since when the hub does not answer, and why; null: it does. */
  trouble(): Health['trouble'];
  /** Finish what is in hand and let go of everything. The next start goes on from the store. */
  stop(): Promise<void>;
}

/** An idle gate still shows that it lives: longest pause between looks, in ms. */
const IDLE = 60_000;
/** Shortest pause between two notes of the bus's newest message, in ms. */
const NOTE_EVERY = 60_000;
/** How long a stop waits for the calls in hand, in ms. */
const PATIENCE = 5_000;

/**
 * Start a gate. It runs until stopped; troubles of hub and bus are logged and waited out.
 * @throws StoreError where the store cannot be used, ListenError where the dashboard cannot listen, TokensError where its
 * file of tokens cannot be used
 */
export async function startGate(config: Config, options: GateOptions): Promise<RunningGate> {
  const log = (part: string) => options.log.child({ part });
  let ahead = () => 0;
  const { onEntry, once = false } = options;
  const changes = listeners();
  const store = await openStore(config.store.url, {
    mode: 'write',
    hub: config.koji.server,
    ...(options.movedFrom !== undefined && { movedFrom: options.movedFrom }),
    onEntry(entry) {
      changes.tell(entry.build);
      onEntry?.(byCalendar(entry, ahead()));
    },
  });
  const clock = gateClock(thisMachine(), await knownOf(store));
  const { now } = clock;
  ahead = clock.ahead;
  const noteClock = clockNotes(clock, store);
  const [hub, trouble] = watched(connectHub({ ...config.koji, log: log('koji') }));
  const typesOf = typesFrom(config.koji, hub);
  const startedAt = Date.now();
  let lookedAt: number | null = null;
  const alarm = createAlarm();
  const reconciler = createReconciler({
    gates: config.gates,
    pace: config.sweep,
    hub,
    store,
    log: log('reconciler'),
    ...{ now, ahead: clock.ahead },
    ...(typesOf && { typesOf }),
    random: Math.random,
    onFree() {
      lookedAt = Date.now();
      alarm.ring();
    },
  });

  let consumer: Consumer | undefined;
  const sources = dashboardSources(
    reporting(config, store),
    () => ({
      started_at: startedAt,
      looked_at: lookedAt,
      trouble: trouble(),
      bus: consumer?.state() ?? null,
    }),
    changes.listen,
  );
  const http = once ? undefined : config.http;
  const serve = async (listen: NonNullable<Config['http']>) =>
    serveDashboard(listen, sources, log('http'), machineOf(config, store, log('http')));
  const dashboard = http && (await serve(http).catch(giveUp(store)));

  const onHint: OnHint = (hint) => {
    reconciler.hint(hint);
    alarm.ring();
  };
  const bus = once ? undefined : config.bus;
  const subscribe = options.subscribe ?? (bus && ((heard: OnHint) => startConsumer(bus, heard, log('bus'))));
  consumer = subscribe?.(onHint);
  const noteHeard = bus && consumer && createNotes(store, bus.queue, consumer, log('bus'));

  const stopping = new AbortController();
  const listening = hearPersons(store, log('store'), stopping.signal, noteClock, () => {
    reconciler.hearPeople();
    changes.tell(null);
    alarm.ring();
  });
  const pruned = pruneAtSweeps(store, config, now, log('store'), stopping.signal);
  const waivers = waiverSync(store, config, now, log('waiverdb'), stopping.signal);
  const synced = once ? undefined : waivers.atSweeps();
  const told = tellHub(hub, config.koji.authtype, log('koji'), stopping.signal);
  const loop = (async () => {
    if (once) await waivers.turn();
    if (once) await reconciler.step(stopping.signal);
    while (!once && !stopping.signal.aborted) {
      const next = reconciler.turn();
      await noteHeard?.(NOTE_EVERY);
      await alarm.wait(Math.min(next - now(), IDLE));
    }
    await reconciler.idle();
  })();

  return {
    store,
    url: dashboard?.url,
    over: loop,
    trouble,
    subscribed: consumer?.ready ?? Promise.resolve(),
    async stop() {
      stopping.abort();
      alarm.ring();
      // A hub that hangs must not keep the process: what is cut off here is found again at the next start.
      const patience = setTimeout(() => void hub.close(), PATIENCE);
      await Promise.all([loop, told, listening, pruned, synced]);
      clearTimeout(patience);
      await consumer?.close();
      await noteHeard?.(0);
      await dashboard?.close();
      await hub.close();
      await store.close();
    },
  };
}

/** What lasts goes on as before; a person who looks at times should know. */
function tellJump(log: Logger, jump: number): void {
  if (jump === 0) return;
  const how = `${span(Math.abs(jump))} ${jump > 0 ? 'ahead' : 'back'}`;
  log.warn(`the machine's clock was set ${how}; holds, pauses and runs last as long as before`);
}

/** How often the store is asked whether a person has spoken, in ms. */
const LISTEN_EVERY = 1_000;

/**
 * Commands beside the gate put waivers and orders into the store: tell of them soon. They tell the time by what the gate
 * has noted of the machine's clock. Never rejects.
 */
async function hearPersons(
  store: Store,
  log: Logger,
  stop: AbortSignal,
  noteClock: () => Promise<number>,
  onWord: () => void,
): Promise<void> {
  let heard: number | undefined;
  while (!stop.aborted) {
    try {
      tellJump(log, await noteClock());
      const words = await store.wordsOfPersons();
      if (heard !== undefined && words !== heard) onWord();
      heard = words;
    } catch (err) {
      log.warn({ err }, 'cannot see whether a person has spoken');
    }
    await sleep(LISTEN_EVERY, undefined, { signal: stop }).catch(() => {});
  }
}

/** As often as the hub is swept, take away what the store need not keep. Never rejects. */
async function pruneAtSweeps(
  store: Store,
  { store: { keep }, sweep }: Config,
  now: () => number,
  log: Logger,
  stop: AbortSignal,
): Promise<void> {
  while (keep && !stop.aborted) {
    await store.prune(now(), keep, stop).catch((err: unknown) => log.warn({ err }, 'cannot prune the store'));
    await sleep(sweep.every, undefined, { signal: stop }).catch(() => {});
  }
}

/** A hub, and since when it does not answer. */
function watched(hub: Hub): [Hub, () => Health['trouble']] {
  let trouble: Health['trouble'] = null;
  const watch = async <T>(call: Promise<T>): Promise<T> => {
    try {
      const answer = await call;
      trouble = null;
      return answer;
    } catch (error) {
      const silent = error instanceof HubError && error.kind === 'unavailable';
      if (silent) trouble = { since: trouble?.since ?? Date.now(), reason: error.message };
      throw error;
    }
  };
  const same: Hub = {
    ...hub,
    read: (call) => watch(hub.read(call)),
    readAll: (calls) => watch(hub.readAll(calls)),
    write: (call) => watch(hub.write(call)),
    writeAll: (calls) => watch(hub.writeAll(calls)),
  };
  return [same, () => trouble];
}

/** Say once what the hub has and what is done instead, and who is logged in, as soon as it answers. */
async function tellHub(
  hub: Hub,
  authtype: Config['koji']['authtype'],
  log: Logger,
  stop: AbortSignal,
): Promise<void> {
  const features = await patiently(() => detectFeatures(hub), 'the hub does not answer yet', log, stop);
  if (!features) return;
  log.info(nameHub(features));
  for (const { text } of describeFeatures(features)) log.info(text);
  if (authtype === 'noauth') log.warn('no login: nothing can be built or tagged; see authtype in [koji]');
  else {
    const user = await patiently(() => hub.write(getLoggedInUser()), 'cannot log in', log, stop);
    if (user) log.info(`logged in as ${user.name}`);
  }
}

/** Ask until there is an answer, once a minute, and say why there is none; undefined where `stop` came first. */
async function patiently<T>(
  ask: () => Promise<T>,
  failing: string,
  log: Logger,
  stop: AbortSignal,
): Promise<T | undefined> {
  while (!stop.aborted) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof HubError)) throw error;
      log.warn({ reason: error.message }, failing);
      await sleep(IDLE, undefined, { signal: stop }).catch(() => {});
    }
  }
  return undefined;
}

/** Let the store go and pass the error on. */
const giveUp = (store: Store) => async (error: unknown) => {
  await store.close();
  throw error;
};

/**
 * Notes of the newest message in the store, where `doctor` finds them.
 * @returns takes a note, unless the last one is younger than `pause` ms or says the same. Never rejects.
 */
function createNotes(store: Store, queue: string, consumer: Consumer, log: Logger) {
  let noted = { message: 0, at: 0 };
  return async (pause: number): Promise<void> => {
    const { lastMessageAt: at, lastRoutingKey: routingKey, lastUnderstood: understood } = consumer.state();
    if (at === undefined || routingKey === undefined || understood === undefined) return;
    if (at === noted.message || Date.now() < noted.at + pause) return;
    noted = { message: at, at: Date.now() };
    await store
      .hear({ queue, at, routingKey, understood })
      .catch((err: unknown) => log.warn({ err }, 'the newest message is not in the store'));
  };
}

/** Sleep that a ring ends; a ring while nobody sleeps ends the next sleep at once. */
function createAlarm(): { ring(): void; wait(ms: number): Promise<void> } {
  let rung = false;
  let wake = () => {};
  return {
    ring() {
      rung = true;
      wake();
    },
    async wait(ms) {
      if (!rung && ms > 0) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, ms);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      rung = false;
    },
  };
}
