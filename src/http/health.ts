/** Whether a running gate does its work. */

/** Times are milliseconds since the epoch, counts are since the start. */
export interface Health {
  readonly started_at: number;
  /** When the reconciler last finished a look. */
  readonly looked_at: number | null;
  /** How long the gate may have nothing to look at, ms: an idle one looks as often as it sweeps. Absent: minutes. */
  readonly look_every?: number;
  /** Since when the hub has not answered, and what it says; null while it does. */
  readonly trouble: { readonly since: number; readonly reason: string } | null;
  /** Whether the gate's login at the hub works; absent where it wants none. */
  readonly login?: Login;
  /** The subscription to the bus; null where none is configured. */
  readonly bus: {
    readonly connected: boolean;
    /** When `connected` last changed. */
    readonly since: number;
    readonly received: number;
    readonly undecodable: number;
    readonly ignored?: number;
    readonly reconnects?: number;
    /** How long the newest message that tells when it was sent was on its way, ms. */
    readonly lagMs?: number;
    readonly lastMessageAt?: number;
    readonly lastError?: string;
  } | null;
  /** What is told to others, a channel each; times by the gate's clock. Absent: nobody looks after it. */
  readonly tell?: readonly {
    readonly channel: string;
    /** Told since the start, still to be told, and given up. */
    readonly sent: number;
    readonly waiting: number;
    readonly failed: number;
    /** When the oldest that waits was recorded; null: none waits. */
    readonly oldest: number | null;
    /** Why the newest that could not be told was not. */
    readonly error: string | null;
  }[];
}

/** A login at the hub: not tried yet, works, or fails. `since` is when that began, in ms. */
export type Login =
  | { readonly state: 'waiting' | 'works'; readonly since: number }
  | { readonly state: 'fails'; readonly since: number; readonly reason: string };

/** A look is overdue when none has ended for so long, ms; and for two sweeps, where those are longer. */
const LOOK_OVERDUE = 600_000;

/** Whether looks end: a new start would not help against a hub that does not answer. */
export function isAlive({ started_at, looked_at, look_every = 0 }: Health, now: number): boolean {
  return now - (looked_at ?? started_at) <= Math.max(LOOK_OVERDUE, 2 * look_every);
}

/**
 * A gate works while its looks end and the hub answers. A lost bus only makes it slower: sweeps find what messages would
 * tell.
 */
export function isWorking(health: Health, now: number): boolean {
  return isAlive(health, now) && now - (health.trouble?.since ?? now) <= LOOK_OVERDUE;
}
