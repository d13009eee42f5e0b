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
  /** Where several gates may share the store: who acts. One that stands by looks at no hub, hears no bus, and tells nobody. */
  readonly lease?: Lease;
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

/** Which of several gates on one store acts, as this one sees it. */
interface Lease {
  readonly acts: boolean;
  /** Since when this one acts, or does not, in ms. */
  readonly since: number;
  /** What this one is called, and the one that acts; null: nobody does, as far as is known. */
  readonly name: string;
  readonly holder: string | null;
  /** Grows whenever another one begins to act; null: not known. */
  readonly token: number | null;
  /** Why the store cannot be asked, or why this one may not act. */
  readonly reason?: string;
}

/** A login at the hub: not tried yet, works, or fails. `since` is when that began, in ms. */
export type Login =
  | { readonly state: 'waiting' | 'works'; readonly since: number }
  | { readonly state: 'fails'; readonly since: number; readonly reason: string };

/** A look is overdue when none has ended for so long, ms; and for two sweeps, where those are longer. */
const LOOK_OVERDUE = 600_000;

/** Whether looks end: a new start would not help against a hub that does not answer. */
export function isAlive(health: Health, now: number): boolean {
  return now - lookedBy(health, now) <= Math.max(LOOK_OVERDUE, 2 * (health.look_every ?? 0));
}

/** Whether it only waits to follow the gate that acts. */
export const standsBy = ({ lease }: Health): boolean => lease !== undefined && !lease.acts;

/** When the last look ended, or since when the first is awaited, in ms; of one that stands by: now. */
export function lookedBy(health: Health, now: number): number {
  const { started_at, looked_at, lease } = health;
  return standsBy(health) ? now : (looked_at ?? Math.max(started_at, lease?.since ?? 0));
}

/**
 * A gate works while its looks end and the hub answers. A lost bus only makes it slower: sweeps find what messages would
 * tell.
 */
export function isWorking(health: Health, now: number): boolean {
  return isAlive(health, now) && now - (health.trouble?.since ?? now) <= LOOK_OVERDUE;
}
