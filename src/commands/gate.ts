/** A running gate, assembled from its configuration: hub, store, bus, reconciler, dashboard. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { parseBrokers } from '../bus/broker.ts';
import type { Consumer, OnHint } from '../bus/intake.ts';
import type { Config } from '../config/config.ts';
import type { Entry } from '../core/model.ts';
import { plural, span } from '../core/wording.ts';
import { serveDashboard } from '../http/dashboard.ts';
import type { Health, Login } from '../http/health.ts';
import { createMetrics, serveMetrics } from '../http/metrics.ts';
import { connectHub } from '../koji/client.ts';
import { typesFrom } from '../reconciler/kerneltypes.ts';
import { createReconciler } from '../reconciler/reconciler.ts';
import { byCalendar } from '../report/report.ts';
import { clockNotes, gateClock, knownOf, thisMachine } from '../store/clock.ts';
import { openStore } from '../store/open.ts';
import type { Store } from '../store/store.ts';
import { greenwaveWords } from '../tell/greenwave.ts';
import type { Teller } from '../tell/teller.ts';
import { brokerOptions, listenTo } from './broker.ts';
import { countedStore } from './counted.ts';
import { endInTurn } from './ending.ts';
import { keepLogin, tellHub, watchHub } from './hubwatch.ts';
import { machineOf } from './machine.ts';
import { reporting } from './report.ts';
import { dashboardSources, listeners } from './sources.ts';
import { heardStore } from './storetrouble.ts';
import { startTellers } from './telling.ts';
import { waiverSync } from './waiversync.ts';

export interface GateOptions {
  readonly log: Logger;
  /** Of kmod-gate, for `/metrics`. */
  readonly version?: string;
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
  /** Where `/metrics` listens, where it has an address of its own. */
  readonly metricsUrl: string | undefined;
  /** First subscription to the bus, if there is one. */
  readonly subscribed: Promise<void>;
  /** With `once`: when all is done. */
  readonly over: Promise<void>;
  /** Since when the hub does not answer, or lets nobody in, and why; null: it does. */
  trouble(): Health['trouble'];
  /** What the store's database said when it first could not do something. */
  storeTrouble(): Error | undefined;
  health(): Health;
  /** Finish what is in hand, as far as that goes in time, and let go of everything. The next start goes on from the store. */
  stop(): Promise<void>;
}

/** An idle gate still shows that it lives: longest pause between looks, in ms. */
const IDLE = 60_000;
/** Shortest pause between two notes of the bus's newest message, in ms. */
const NOTE_EVERY = 60_000;
/** How long a stop waits for the calls in hand, in ms. */
const PATIENCE = 5_000;
/** How long a stop takes at the most where the configuration says nothing, in ms. systemd and Kubernetes wait for 30 s. */
const STOP_WITHIN = 20_000;

/**
 * Start a gate. It runs until stopped; troubles of hub and bus are logged and waited out.
 * @throws StoreError where the store cannot be used, ListenError where the dashboard cannot listen, TokensError where its
 * file of tokens cannot be used, SettingsError where a certificate cannot be used
 */
export async function startGate(config: Config, options: GateOptions): Promise<RunningGate> {
  const log = (part: string) => options.log.child({ part });
  if (config.bus) parseBrokers(brokerOptions(config.bus));
  let ahead = () => 0;
  const { onEntry, once = false } = options;
  const changes = listeners();
  const opened = await openStore(config.store.url, {
    mode: 'write',
    hub: config.koji.server,
    ...(options.movedFrom !== undefined && { movedFrom: options.movedFrom }),
    onEntry(entry) {
      changes.tell(entry.build);
      onEntry?.(byCalendar(entry, ahead()));
    },
  });
  const { store, trouble: storeTrouble } = heardStore(opened);
  const clock = gateClock(thisMachine(), await knownOf(store));
  const { now } = clock;
  ahead = clock.ahead;
  const noteClock = clockNotes(clock, store);
  const startedAt = Date.now();
  let lookedAt: number | null = null;
  let consumer: Consumer | undefined;
  const health = (): Health => ({
    started_at: startedAt,
    looked_at: lookedAt,
    look_every: config.sweep.every,
    trouble: trouble(),
    ...(logsIn && { login: login() }),
    bus: consumer?.state() ?? null,
    tell: teller.state(),
  });
  const metrics = createMetrics({
    ...{ health, now, ahead: clock.ahead, liveRuns: store.liveCounts, load: () => reconciler.load() },
    ...{ version: options.version ?? 'unknown', gates: config.gates.map(({ name }) => name) },
  });
  const { hub, trouble, login } = watchHub(
    connectHub({ ...config.koji, log: log('koji'), onExchange: metrics.exchange }),
  );
  const logsIn = config.koji.authtype !== 'noauth';
  const typesOf = typesFrom(config.koji, hub);
  const teller = await startTellers(config, { store, hub, clock, log: log('tell') }).catch(giveUp(store));
  const alarm = createAlarm();
  const reconciler = createReconciler({
    gates: config.gates,
    pace: config.sweep,
    hub,
    store: countedStore(store, metrics),
    log: log('reconciler'),
    ...{ now, ahead: clock.ahead },
    ...(typesOf && { typesOf }),
    ...(config.greenwave && { askGreenwave: greenwaveWords(config.greenwave, config.sweep.poll, now) }),
    random: Math.random,
    onFree() {
      lookedAt = Date.now();
      teller.wake();
      alarm.ring();
    },
  });

  const sources = {
    ...dashboardSources(reporting(config, store), health, changes.listen),
    ...(config.http?.metrics === undefined && { metrics }),
  };
  const http = once ? undefined : config.http;
  const serve = async (listen: NonNullable<Config['http']>) =>
    serveDashboard(listen, sources, log('http'), machineOf(config, store, log('http')));
  const dashboard = http && (await serve(http).catch(giveUp(store, teller)));
  const apart =
    http?.metrics &&
    (await serveMetrics(http.metrics, metrics, health).catch(async (error: unknown) => {
      await dashboard?.close();
      return giveUp(store, teller)(error);
    }));

  const onHint: OnHint = (hint) => {
    reconciler.hint(hint);
    alarm.ring();
  };
  const bus = once ? undefined : config.bus;
  // While nobody listened, messages may have been dropped: the queue has limits, and may be a new one.
  const onSubscribed = () => {
    reconciler.sweepSoon();
    alarm.ring();
  };
  const subscribe =
    options.subscribe ?? (bus && ((heard: OnHint) => listenTo(bus, onSubscribed, heard, log('bus'))));
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
  const told = tellHub(hub, log('koji'), stopping.signal);
  if (!logsIn) log('koji').warn('no login: nothing can be built or tagged; see authtype in [koji]');
  const loggedIn = logsIn && keepLogin(hub, log('koji'), stopping.signal);
  const loop = (async () => {
    if (once) await waivers.turn();
    if (once) await reconciler.step(stopping.signal);
    while (!once && !stopping.signal.aborted) {
      const next = reconciler.turn();
      await noteHeard?.(NOTE_EVERY);
      await alarm.wait(Math.min(next - now(), IDLE));
    }
    await reconciler.idle();
    if (once) await teller.drain();
  })();

  const within = config.stopWithin ?? STOP_WITHIN;
  const stop = async () => {
    options.log.info(`stopping: what is in hand is finished, within ${span(within)}`);
    stopping.abort();
    alarm.ring();
    // A hub that hangs must not keep the process: what is cut off here is found again at the next start.
    const patience = setTimeout(() => void hub.close(), Math.min(PATIENCE, within / 2));
    const working = () => `${plural(reconciler.load().working, 'look')} at kernels and tags`;
    const left = await endInTurn(
      [
        { what: working, end: () => Promise.all([loop, told, loggedIn]) },
        { what: () => 'the store and its waivers', end: () => Promise.all([listening, pruned, synced]) },
        { what: () => 'what is to be told', end: () => teller.stop() },
        { what: () => 'the bus', end: async () => consumer?.close() },
        { what: () => 'the note of the newest message', end: async () => noteHeard?.(0) },
        {
          what: () => 'the dashboard',
          end: () => Promise.all([dashboard?.close(), (apart || undefined)?.close()]),
        },
        { what: () => "the hub's logout", end: () => hub.close() },
        { what: () => 'the store', end: () => store.close() },
      ],
      within,
    );
    clearTimeout(patience);
    if (left.length === 0) return;
    options.log.warn(
      { left },
      `stopped after ${span(within)}, and did not wait for: ${left.join('; ')}. Nothing is lost: the next start goes on from the store`,
    );
  };
  let stopped: Promise<void> | undefined;

  return {
    store,
    url: dashboard?.url,
    over: loop,
    storeTrouble,
    trouble: () => trouble() ?? (logsIn ? failing(login()) : null),
    metricsUrl: apart ? apart.url : undefined,
    subscribed: consumer?.ready ?? Promise.resolve(),
    health,
    stop: () => {
      stopped ??= stop();
      return stopped;
    },
  };
}

/** Since when no login works, and why; null: one does, or none was tried. */
const failing = (login: Login): Health['trouble'] =>
  login.state === 'fails' ? { since: login.since, reason: login.reason } : null;

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

/** Let the store go and pass the error on. */
const giveUp = (store: Store, teller?: Teller) => async (error: unknown) => {
  await teller?.stop();
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
