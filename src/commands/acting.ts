/** What a gate does while it is the one that acts: it hears, looks, writes, and tells others. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Consumer, OnHint } from '../bus/intake.ts';
import type { Config } from '../config/config.ts';
import { plural } from '../core/wording.ts';
import type { Metrics } from '../http/metrics.ts';
import { type Hub, HubError } from '../koji/hub.ts';
import { typesFrom } from '../reconciler/kerneltypes.ts';
import { createReconciler, type Reconciler } from '../reconciler/reconciler.ts';
import { clockNotes, type GateClock } from '../store/clock.ts';
import type { Term } from '../store/lease.ts';
import type { Store } from '../store/store.ts';
import { greenwaveWords } from '../tell/greenwave.ts';
import type { Teller } from '../tell/teller.ts';
import { listenTo } from './broker.ts';
import { countedStore } from './counted.ts';
import { endInTurn } from './ending.ts';
import { startTellers } from './telling.ts';
import { waiverSync } from './waiversync.ts';

/** What acts, and for how long it may. */
export interface ActingOptions {
  /** Of this term: it takes no facts once another gate acts. */
  readonly store: Store;
  readonly term: Term;
  /** Whether another gate may have acted until now. */
  readonly follows: boolean;
  readonly hub: Hub;
  /** Begun with this term. */
  readonly clock: GateClock;
  readonly metrics: Metrics;
  readonly log: (part: string) => Logger;
  /** Do what a sweep finds to do now, and no more. */
  readonly once: boolean;
  /** Another source of hints than the configured broker. */
  readonly subscribe: ((onHint: OnHint) => Consumer) | undefined;
  /** A look has ended. */
  readonly onLook: () => void;
}

export interface Acting {
  readonly reconciler: Reconciler;
  readonly teller: Teller;
  readonly consumer: Consumer | undefined;
  /** Note in the store where the machine's clock was set; by how much, in ms. */
  noteClock(): Promise<number>;
  /** Persons have spoken. */
  hearPeople(): void;
  /** With `once`: when all is done. */
  readonly over: Promise<void>;
  /**
   * Finish what is in hand, as far as that goes within so many ms. What is left is found again by whoever acts next.
   * @returns what was not waited for, in words
   */
  stop(within: number): Promise<string[]>;
}

/** An idle gate still shows that it lives: longest pause between looks, in ms. */
const IDLE = 60_000;
/** Shortest pause between two notes of the bus's newest message, in ms. */
const NOTE_EVERY = 60_000;

/** Begin to act. It goes on until stopped; troubles of hub and bus are logged and waited out. */
export async function act(config: Config, options: ActingOptions): Promise<Acting> {
  const { store, term, hub, clock, metrics, log, once } = options;
  const { now } = clock;
  const typesOf = typesFrom(config.koji, hub);
  const { permit } = term;
  const teller = await startTellers(config, { store, hub, clock, log: log('tell'), permit });
  const alarm = createAlarm();
  const reconciler = createReconciler({
    gates: config.gates,
    pace: config.sweep,
    hub,
    store: countedStore(store, metrics),
    log: log('reconciler'),
    ...{ now, ahead: clock.ahead, permit: permitOf(term) },
    ...(options.follows && { began: now() }),
    ...(typesOf && { typesOf }),
    ...(config.greenwave && { askGreenwave: greenwaveWords(config.greenwave, config.sweep.poll, now) }),
    random: Math.random,
    onFree() {
      options.onLook();
      teller.wake();
      alarm.ring();
    },
  });
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
  const consumer = subscribe?.(onHint);
  const noteHeard = bus && consumer && createNotes(store, bus.queue, consumer, log('bus'));

  const stopping = new AbortController();
  const pruned = pruneAtSweeps(store, config, now, log('store'), stopping.signal);
  const waivers = waiverSync(store, config, now, log('waiverdb'), stopping.signal);
  const synced = once ? undefined : waivers.atSweeps();
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
  return {
    ...{ reconciler, teller, consumer, over: loop },
    noteClock: clockNotes(clock, store),
    hearPeople() {
      reconciler.hearPeople();
      alarm.ring();
    },
    stop(within) {
      stopping.abort();
      alarm.ring();
      const parts = [
        { what: () => `${plural(reconciler.load().working, 'look')} at kernels and tags`, end: () => loop },
        { what: () => 'the store and its waivers', end: () => Promise.all([pruned, synced]) },
        { what: () => 'what is to be told', end: () => teller.stop() },
        { what: () => 'the bus', end: async () => consumer?.close() },
        { what: () => 'the note of the newest message', end: async () => noteHeard?.(0) },
      ];
      return endInTurn(parts, within);
    },
  };
}

/** In the words of the hub's client: nothing was sent, and it may be tried again. */
function permitOf(term: Term): () => void {
  return () => {
    try {
      term.permit();
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new HubError('unavailable', 'lease', why, { cause });
    }
  };
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
