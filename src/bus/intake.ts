/** What every consumer does with a message, wherever it came from: decode it, count it, hand on its hints. */
import type { Logger } from 'pino';
import type { Hint } from '../core/model.ts';
import { decode } from './decode.ts';
import type { BusMessage } from './message.ts';

/** What a consumer did so far. Times are ms since the epoch; counts are since the start. */
export interface ConsumerState {
  readonly connected: boolean;
  /** When `connected` last changed. */
  readonly since: number;
  /** How often the subscription was lost and made again. */
  readonly reconnects: number;
  /** Messages taken, redeliveries too; each is also one of `ignored` or `undecodable`, or gave hints. */
  readonly received: number;
  /** Hints that were handed on. */
  readonly hints: number;
  readonly ignored: number;
  readonly undecodable: number;
  readonly lastMessageAt?: number;
  readonly lastRoutingKey?: string;
  /** Whether the newest message could be decoded. */
  readonly lastUnderstood?: boolean;
  readonly lastError?: string;
  /** How long the newest message that tells when it was sent was on its way, ms: also by the clocks of two machines. */
  readonly lagMs?: number;
}

/** A running subscription. */
export interface Consumer {
  /** A snapshot. */
  state(): ConsumerState;
  /** Resolves at the first subscription; rejects if the consumer is closed before. */
  readonly ready: Promise<void>;
  /** Stops within about a second, also while it waits to connect. */
  close(): Promise<void>;
}

/** Takes a hint; the message is done with once this resolved. A failure makes the bus deliver it again. */
export type OnHint = (hint: Hint) => void | Promise<void>;

/** The state that its owner and `take` both write, and the way in for messages. */
export interface Intake {
  readonly state: { -readonly [K in keyof ConsumerState]: ConsumerState[K] };
  /** Decodes and counts a message and hands on its hints. False if `onHint` failed; never rejects. */
  take(message: BusMessage): Promise<boolean>;
}

/** Senders choose what is undecodable, so only so many kinds are logged. */
const MOST_LOGGED_KINDS = 100;

/** An intake with all counts at zero. Each kind of undecodable message (family and reason) is logged once. */
export function openIntake(onHint: OnHint, log: Logger): Intake {
  const state: Intake['state'] = {
    connected: false,
    since: Date.now(),
    reconnects: 0,
    received: 0,
    hints: 0,
    ignored: 0,
    undecodable: 0,
  };
  const logged = new Set<string>();

  function drop(family: string, why: string, routingKey: string): void {
    state.undecodable++;
    const kind = `${family}: ${why}`;
    if (logged.has(kind) || logged.size >= MOST_LOGGED_KINDS) return;
    logged.add(kind);
    log.warn(
      { family, why, routingKey },
      'dropped an undecodable message; more of this kind are only counted',
    );
  }

  async function handOn(hints: readonly Hint[], routingKey: string): Promise<boolean> {
    try {
      for (const hint of hints) {
        await onHint(hint);
        state.hints++;
      }
      return true;
    } catch (error) {
      state.lastError = `taking a hint failed: ${messageOf(error)}`;
      log.error({ err: error, routingKey }, 'taking a hint failed');
      return false;
    }
  }

  return {
    state,
    async take(message) {
      state.received++;
      state.lastMessageAt = Date.now();
      state.lastRoutingKey = message.routingKey;
      const sent = sentAt(message);
      if (sent !== undefined) state.lagMs = Math.max(0, state.lastMessageAt - sent);
      const decoded = decode(message);
      state.lastUnderstood = decoded.kind !== 'undecodable';
      if (decoded.kind === 'hints') return handOn(decoded.hints, message.routingKey);
      if (decoded.kind === 'ignored') state.ignored++;
      else drop(decoded.family, decoded.why, message.routingKey);
      return true;
    },
  };
}

/** When a message was sent, as fedora-messaging (`sent-at`) or RabbitMQ (`timestamp_in_ms`) has it in a header; ms. */
function sentAt({ headers }: BusMessage): number | undefined {
  const { 'sent-at': text, timestamp_in_ms: ms } = headers;
  const time = typeof text === 'string' ? Date.parse(text) : typeof ms === 'number' ? ms : Number.NaN;
  return Number.isNaN(time) ? undefined : time;
}

/** The words of whatever was thrown. */
export function messageOf(error: unknown): string {
  // Node's, for a host with several addresses that all failed: no message of its own.
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}
