/** Sends what waits in the outbox: each channel by itself, with pauses that grow, and beside all else that the gate does. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { ChannelCount, Outbox, Outgoing } from '../store/outbox.ts';
import { type Channel, NOTHING_NEW, TellError, type Told } from './channel.ts';

/** How a channel does. Times are ms since the epoch, by the gate's clock. */
export interface ChannelState extends ChannelCount {
  /** Told since the start. */
  readonly sent: number;
}

export interface Teller {
  /** Something was recorded. */
  wake(): void;
  /** As it was counted last. */
  state(): readonly ChannelState[];
  /** Resolves once nothing is due any more, or what is cannot be told now. */
  drain(): Promise<void>;
  /** Finish what is in hand. What is not told yet waits in the store. */
  stop(): Promise<void>;
}

export interface TellerOptions {
  readonly channels: readonly Channel[];
  readonly outbox: Outbox;
  /** The gate's clock, ms. */
  readonly now: () => number;
  readonly log: Logger;
  /** What could not be told for so long (ms) is given up. */
  readonly giveUp: number;
  /** Draws a number from 0 up to 1: many that failed together are not tried again together. */
  readonly random?: () => number;
}

/** First pause after a failure, and the longest, ms. */
const FIRST_PAUSE = 2_000;
const LONGEST_PAUSE = 600_000;
/** So many are read at a time. */
const BATCH = 50;
/** How long a stop waits for what is in hand, ms. */
const PATIENCE = 3_000;
/** Longest sleep, ms: whatever was overlooked is found then. */
const IDLE = 60_000;

/**
 * Begin to tell. Whatever fails is logged and tried again; it never rejects, and never stops the gate.
 * Call it before anything is recorded that is to be told: a new channel begins with what comes after.
 */
export async function startTelling(options: TellerOptions): Promise<Teller> {
  const { channels, outbox, log } = options;
  const dropped = await outbox.openChannels(channels.map(({ name }) => name));
  if (dropped > 0) log.warn(`${dropped} messages of channels that are configured no more were not sent`);
  const stopping = new AbortController();
  const sent = new Map<string, number>();
  let counts: readonly ChannelCount[] = [];
  const onSent = (channel: string) => sent.set(channel, (sent.get(channel) ?? 0) + 1);
  const count = async () => {
    counts = await outbox.outboxCounts();
  };
  await count();
  const workers = channels.map((channel) => startWorker(channel, options, stopping.signal, onSent, count));
  return {
    wake: () => {
      for (const worker of workers) worker.wake();
    },
    state: () => counts.map((one) => ({ ...one, sent: sent.get(one.channel) ?? 0 })),
    async drain() {
      await Promise.all(workers.map((worker) => worker.pass()));
    },
    async stop() {
      stopping.abort();
      const over = Promise.all(workers.map((worker) => worker.over));
      const ended = new AbortController();
      const patience = sleep(PATIENCE, undefined, { signal: ended.signal }).catch(() => {});
      await Promise.race([over, patience]);
      ended.abort();
      // What is still in hand fails by that, and is told at the next start.
      await Promise.all(channels.map((channel) => channel.close().catch(() => {})));
      await over;
    },
  };
}

/** One channel's loop. */
function startWorker(
  channel: Channel,
  options: TellerOptions,
  stop: AbortSignal,
  onSent: (channel: string) => void,
  onPass: () => Promise<void>,
) {
  const { outbox, now } = options;
  const log = options.log.child({ channel: channel.name });
  let alarm = new AbortController();
  let passing: Promise<boolean> = Promise.resolve(true);
  const delivered: Delivered = new Map();
  const wants = { what: channel.tells, gather: channel.gather };
  // One pass at a time, whoever asks for it.
  const pass = () => {
    passing = passing.then(async () => {
      try {
        let read = 0;
        for (let more = true; more; ) {
          const found = await outbox.collect(channel.name, wants);
          read += found.lines;
          more = found.more;
        }
        const seen = await sendDue(channel, { ...options, delivered, onSent }, log, stop);
        if (read > 0 || seen) await onPass();
        return true;
      } catch (err) {
        // The store's own trouble: a full disk, another process that holds it.
        log.warn({ err }, 'cannot read or write what is to be told');
        return false;
      }
    });
    return passing;
  };
  const over = (async () => {
    while (!stop.aborted) {
      alarm = new AbortController();
      const fine = await pass();
      // Whatever the store cannot do, to be woken does not mend it.
      if (!fine) await sleep(STORE_PAUSE, undefined, { signal: stop }).catch(() => {});
      const due = await outbox.nextDue(channel.name, channel.ordered).catch(() => undefined);
      const pause = Math.min(Math.max((due ?? Infinity) - now(), MIN_PAUSE), IDLE);
      await sleep(pause, undefined, { signal: AbortSignal.any([stop, alarm.signal]) }).catch(() => {});
    }
    await passing;
  })();
  return { wake: () => alarm.abort(), pass, over };
}

/** What is due and put off once more is not asked for at once, ms. */
const MIN_PAUSE = 50;
/** Pause after the store's own trouble, ms. */
const STORE_PAUSE = 30_000;

/** What the other side has, and the store does not know yet: it is not sent again by this process. */
type Delivered = Map<string, Told | undefined>;

interface Sending extends TellerOptions {
  readonly delivered: Delivered;
  readonly onSent: (channel: string) => void;
}

/**
 * Send until nothing is due, or, in an ordered channel, until the first that cannot be told.
 * @returns whether there was anything
 */
async function sendDue(channel: Channel, options: Sending, log: Logger, stop: AbortSignal): Promise<boolean> {
  const { outbox, now } = options;
  for (let seen = false; ; seen = true) {
    const time = now();
    const rows = await outbox.outgoing(channel.name, {
      limit: BATCH,
      ...(!channel.ordered && { due: time }),
    });
    if (rows.length === 0) return seen;
    for (const row of rows) {
      if (stop.aborted || row.nextAt > time) return true;
      const goOn = await sendOne(channel, row, options, log);
      if (!goOn && channel.ordered) return true;
      // What it was divided into comes before the next fact, and what was told may have spoken for others.
      if (row.part === '' || channel.gather > 0) break;
    }
  }
}

/**
 * @returns whether the channel may go on with the next one
 * @throws whatever the store does
 */
async function sendOne(channel: Channel, row: Outgoing, options: Sending, log: Logger): Promise<boolean> {
  const { outbox, now, delivered, onSent } = options;
  const quiet = channel.quietUntil?.(now());
  if (quiet !== undefined) {
    await outbox.putOff(row, quiet);
    return false;
  }
  const group = channel.gather > 0 ? await outbox.alike(row) : [row];
  const newest = group.at(-1) ?? row;
  const { run, fact, what, part } = newest;
  const about = { run, what, part };
  if (part === '') {
    const parts = await attempt(() => channel.divide(newest));
    if (!parts.ok) return refused(newest, parts.error, options, log);
    const older = group.filter((one) => one !== newest);
    await outbox.divide(newest, parts.value, older);
    return true;
  }
  const key = JSON.stringify([run, fact, what, part]);
  if (!delivered.has(key)) {
    const told = await attempt(() => channel.deliver(newest));
    if (!told.ok) return refused(newest, told.error, options, log);
    const news = told.value !== NOTHING_NEW;
    delivered.set(key, told.value === NOTHING_NEW ? undefined : told.value);
    if (news) onSent(channel.name);
    log.debug(about, news ? 'told' : 'nothing new to tell');
  }
  const told = delivered.get(key);
  await outbox.told(group, told && { ...told, at: now() });
  delivered.delete(key);
  return true;
}

type Attempt<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown };

const attempt = <T>(work: () => Promise<T>): Promise<Attempt<T>> =>
  work().then(
    (value) => ({ ok: true, value }),
    (error: unknown) => ({ ok: false, error }),
  );

/** Try it again later, or give it up. */
async function refused(
  row: Outgoing,
  error: unknown,
  { outbox, now, giveUp, random = Math.random }: TellerOptions,
  log: Logger,
): Promise<boolean> {
  const reason = error instanceof Error ? error.message : String(error);
  const about = { run: row.run, what: row.what, part: row.part, reason };
  const forGood = error instanceof TellError && error.forGood;
  if (forGood || now() - row.madeAt >= giveUp) {
    log.error(about, 'given up: this was not told');
    await outbox.giveUp(row, reason);
    return true;
  }
  if (!(error instanceof TellError)) log.error({ err: error }, 'cannot make a message');
  const pause = Math.min(FIRST_PAUSE * 2 ** row.tries, LONGEST_PAUSE) * (0.75 + random() / 2);
  log.warn({ ...about, again_in_s: Math.round(pause / 1_000) }, 'could not be told, and is tried again');
  await outbox.putOff(row, Math.round(now() + pause), reason);
  return false;
}
