/** A running gate, assembled from its configuration: hub, store, bus, reconciler, dashboard. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { parseBrokers } from '../bus/broker.ts';
import type { Consumer, OnHint } from '../bus/intake.ts';
import type { Config } from '../config/config.ts';
import type { Entry } from '../core/model.ts';
import { span } from '../core/wording.ts';
import { serveDashboard } from '../http/dashboard.ts';
import type { Health, Login } from '../http/health.ts';
import { createMetrics, serveMetrics } from '../http/metrics.ts';
import { connectHub } from '../koji/client.ts';
import { byCalendar } from '../report/report.ts';
import { type GateClock, gateClock, knownOf, thisMachine } from '../store/clock.ts';
import { StoreError } from '../store/error.ts';
import type { Lease, Term } from '../store/lease.ts';
import { openGateStore } from '../store/open.ts';
import type { Store } from '../store/store.ts';
import { type Acting, act } from './acting.ts';
import { brokerOptions } from './broker.ts';
import { endInTurn } from './ending.ts';
import { keepLogin, tellHub, watchHub } from './hubwatch.ts';
import { machineOf } from './machine.ts';
import { reporting } from './report.ts';
import { dashboardSources, listeners } from './sources.ts';
import { heardStore } from './storetrouble.ts';

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

/** How long a stop waits for the calls in hand, in ms. */
const PATIENCE = 5_000;
/** How long a stop takes at the most where the configuration says nothing, in ms. systemd and Kubernetes wait for 30 s. */
const STOP_WITHIN = 20_000;
/** So much of that is for what acts; the rest is to let go of the lease, the pages, the hub and the store. */
const ACTS = 0.8;
/** What does not end in time may take so many ms more, part by part. */
const FOR_LEASE = 4_000;

/**
 * Start a gate. It runs until stopped; troubles of hub and bus are logged and waited out. Where another one acts on its store,
 * it shows pages, hears persons, and waits to follow it.
 * @throws StoreError where the store cannot be used, ListenError where the dashboard cannot listen, TokensError where its
 * file of tokens cannot be used, SettingsError where a certificate cannot be used
 */
export async function startGate(config: Config, options: GateOptions): Promise<RunningGate> {
  const log = (part: string) => options.log.child({ part });
  if (config.bus) parseBrokers(brokerOptions(config.bus));
  let clock: GateClock | undefined;
  const { onEntry, once = false } = options;
  const changes = listeners();
  const opened = await openGateStore(config.store.url, {
    hub: config.koji.server,
    ...(config.store.password_file !== undefined && { passwordFile: config.store.password_file }),
    ...(options.movedFrom !== undefined && { movedFrom: options.movedFrom }),
    onEntry(entry) {
      changes.tell(entry.build);
      onEntry?.(byCalendar(entry, clock?.ahead() ?? 0));
    },
  });
  const { lease } = opened;
  const troubles: (() => Error | undefined)[] = [];
  const heard = (given: Store): Store => {
    const { store, trouble } = heardStore(given);
    troubles.push(trouble);
    return store;
  };
  const store = heard(opened.store);
  const newClock = async () => gateClock(thisMachine(), await knownOf(store));
  const standing = await newClock().catch(giveUp(store));
  clock = standing;
  const clockNow = () => clock ?? standing;
  const startedAt = Date.now();
  let lookedAt: number | null = null;
  let acting: Acting | undefined;
  const health = (): Health => ({
    started_at: startedAt,
    looked_at: lookedAt,
    look_every: config.sweep.every,
    trouble: trouble(),
    ...(logsIn && { login: login() }),
    bus: acting?.consumer?.state() ?? null,
    ...(acting && { tell: acting.teller.state() }),
    ...(lease.state && { lease: lease.state() }),
  });
  const metrics = createMetrics({
    // Each run is counted by the gate that acts on it, and by no other one.
    ...{ health, liveRuns: async () => (acting ? store.liveCounts() : []) },
    ...{ load: () => acting?.reconciler.load() ?? NO_LOAD },
    ...{ now: () => clockNow().now(), ahead: () => clockNow().ahead() },
    ...{ version: options.version ?? 'unknown', gates: config.gates.map(({ name }) => name) },
  });
  const { hub, trouble, login } = watchHub(
    connectHub({ ...config.koji, log: log('koji'), onExchange: metrics.exchange }),
  );
  const logsIn = config.koji.authtype !== 'noauth';
  const begin = async (term: Term, follows: boolean): Promise<Acting> => {
    clock = await newClock();
    lookedAt = null;
    const begun = await act(config, {
      ...{ store: heard(opened.inTerm(term)), term, follows, hub, clock, metrics, log, once },
      subscribe: options.subscribe,
      onLook() {
        lookedAt = Date.now();
      },
    });
    acting = begun;
    return begun;
  };

  const stopping = new AbortController();
  const first = await (once ? lease.next(AbortSignal.timeout(ONCE_WAITS)) : lease.first()).catch(
    giveUp(store),
  );
  if (once && !first)
    await giveUp(store)(new StoreError(`another kmod-gate acts on this store: ${holderOf(lease)}`));
  const began = first && (await begin(first, lease.state !== undefined).catch(giveUp(store)));
  if (lease.state) log('store').info(first ? 'this gate acts' : `stands by: ${holderOf(lease)} acts`);

  const sources = {
    ...dashboardSources(reporting(config, store), health, changes.listen),
    ...(config.http?.metrics === undefined && { metrics }),
  };
  const http = once ? undefined : config.http;
  const serve = async (listen: NonNullable<Config['http']>) =>
    serveDashboard(listen, sources, log('http'), machineOf(config, store, log('http')));
  const dashboard = http && (await serve(http).catch(giveUp(store, began)));
  const apart =
    http?.metrics &&
    (await serveMetrics(http.metrics, metrics, health).catch(async (error: unknown) => {
      await dashboard?.close();
      return giveUp(store, began)(error);
    }));

  const within = config.stopWithin ?? STOP_WITHIN;
  /** What nobody waited for, in words. */
  let left: string[] = [];
  const turns = takeTurns(lease, first && began && { term: first, acting: began }, begin, {
    log: log('store'),
    stop: stopping.signal,
    within: ACTS * within,
    onEnd(unfinished) {
      acting = undefined;
      left.push(...unfinished);
      changes.tell(null);
    },
  });
  const listening = hear(
    store,
    log('store'),
    stopping.signal,
    () => acting,
    () => changes.tell(null),
  );
  const told = tellHub(hub, log('koji'), stopping.signal);
  if (!logsIn) log('koji').warn('no login: nothing can be built or tagged; see authtype in [koji]');
  const loggedIn = logsIn && keepLogin(hub, log('koji'), stopping.signal);

  const stop = async () => {
    options.log.info(`stopping: what is in hand is finished, within ${span(within)}`);
    left = [];
    stopping.abort();
    // A hub that hangs must not keep the process: what is cut off here is found again at the next start.
    const patience = setTimeout(() => void hub.close(), Math.min(PATIENCE, within / 2));
    const began = performance.now();
    // What acts has a deadline of its own, and says what it has left.
    const turn = { what: () => 'the lease of the store', end: () => turns };
    const held = await endInTurn([turn], within + FOR_LEASE);
    const late = await endInTurn(
      [
        { what: () => 'the login', end: () => Promise.all([told, loggedIn]) },
        { what: () => 'what persons say', end: () => listening },
        {
          what: () => 'the dashboard',
          end: () => Promise.all([dashboard?.close(), (apart || undefined)?.close()]),
        },
        { what: () => "the hub's logout", end: () => hub.close() },
        { what: () => 'the store', end: () => store.close() },
      ],
      Math.max(1_000, within - (performance.now() - began)),
    );
    clearTimeout(patience);
    left.push(...held, ...late);
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
    over: began?.over ?? Promise.resolve(),
    storeTrouble: () => troubles.map((trouble) => trouble()).find((error) => error !== undefined),
    trouble: () => trouble() ?? (logsIn ? failing(login()) : null),
    metricsUrl: apart ? apart.url : undefined,
    subscribed: began?.consumer?.ready ?? Promise.resolve(),
    health,
    stop: () => {
      stopped ??= stop();
      return stopped;
    },
  };
}

/** With `once`, how long the lease of a gate that died is waited for, in ms: somewhat longer than that lasts. */
const ONCE_WAITS = 8_000;

const NO_LOAD = { waiting: 0, working: 0, failing: 0, sweptAt: null };
/** Before a gate that cannot begin to act tries it again, in ms. */
const AGAIN = 5_000;

const holderOf = ({ state }: Lease): string => state?.().holder ?? 'nobody';

interface TurnOptions {
  readonly log: Logger;
  readonly stop: AbortSignal;
  /** How long what acts may take to end, in ms. */
  readonly within: number;
  /** It has ended; what was not waited for, in words. */
  onEnd(left: readonly string[]): void;
}

/** Act for as long as the lease is this gate's, again and again, until `stop`. Never rejects. */
async function takeTurns(
  lease: Lease,
  first: { readonly term: Term; readonly acting: Acting } | undefined,
  begin: (term: Term, follows: boolean) => Promise<Acting>,
  { log, stop, within, onEnd }: TurnOptions,
): Promise<void> {
  let turn = first;
  while (!stop.aborted || turn) {
    if (turn) {
      const { term, acting } = turn;
      await firstOf(stop, term.lost);
      if (term.lost.aborted) log.warn(`${holderOf(lease)} has taken over: this gate stands by`);
      onEnd(await acting.stop(within));
      await term.release();
      turn = undefined;
      continue;
    }
    const term = await lease.next(stop);
    if (!term) return;
    log.info('takes over: this gate acts');
    try {
      turn = { term, acting: await begin(term, true) };
    } catch (err) {
      log.error({ err }, 'cannot begin to act; tries again');
      await term.release();
      await sleep(AGAIN, undefined, { signal: stop }).catch(() => {});
    }
  }
}

async function firstOf(...signals: readonly AbortSignal[]): Promise<void> {
  const any = AbortSignal.any([...signals]);
  if (any.aborted) return;
  await new Promise((resolve) => any.addEventListener('abort', resolve, { once: true }));
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
 * Commands beside the gate, and gates that stand by, put waivers and orders into the store: tell of them soon. They tell the
 * time by what the gate has noted of the machine's clock. Who stands by hears of all that the other one records. Never rejects.
 */
async function hear(
  store: Store,
  log: Logger,
  stop: AbortSignal,
  acting: () => Acting | undefined,
  onChange: () => void,
): Promise<void> {
  let heard: { readonly words: number; readonly fact: number } | undefined;
  let fails = false;
  while (!stop.aborted) {
    try {
      const now = acting();
      tellJump(log, (await now?.noteClock()) ?? 0);
      const words = await store.wordsOfPersons();
      const fact = now ? 0 : await store.newestFact();
      if (heard !== undefined && words !== heard.words) {
        now?.hearPeople();
        onChange();
      } else if (heard !== undefined && fact !== heard.fact) onChange();
      heard = { words, fact };
      if (fails) log.info('the store answers again');
      fails = false;
    } catch (err) {
      if (!fails) log.warn({ err }, 'the store does not answer: cannot see whether a person has spoken');
      fails = true;
    }
    await sleep(LISTEN_EVERY, undefined, { signal: stop }).catch(() => {});
  }
}

/** Let the store go and pass the error on. */
const giveUp = (store: Store, acting?: Acting) => async (error: unknown) => {
  await acting?.stop(STOP_WITHIN);
  await store.close();
  throw error;
};
